//! A whole answer, and what a client may expect of it.

use std::io::Read as _;

use flate2::read::GzDecoder;
use goblin_tests::otlp_sink::{OtlpSink, Span, SpanKind};
use http::HeaderMap;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::client;

/// An answer that has come to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Id of its trace.
    pub(crate) trace: String,
    headers: HeaderMap,
}

/// Sends a request and takes all of its answer.
pub(crate) async fn send(request: RequestBuilder) -> Answered {
    let answer = request.send().await.expect("an answer");
    let (status, headers, trace) = (answer.status().as_u16(), answer.headers().clone(), client::trace_id(&answer));
    let bytes = answer.bytes().await.expect("a body");
    // Wrangler compresses, as Cloudflare does, for clients that say that they can take it.
    // An empty body it calls compressed all the same.
    let is_gzip = !bytes.is_empty() && headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let mut body = String::new();
    let read =
        if is_gzip { GzDecoder::new(&*bytes).read_to_string(&mut body) } else { (&*bytes).read_to_string(&mut body) };
    read.unwrap_or_else(|error| panic!("{error} in {bytes:?}"));
    Answered { status, body, trace, headers }
}

impl Answered {
    /// A field of its head; several lines of it are one list.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.get_all(name).iter().map(|value| value.to_str().expect("a field of text"));
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// It is what the backend said.
    #[track_caller]
    pub(crate) fn assert_served(&self) {
        assert_eq!(self.status, 200, "{self:?}");
    }

    /// It is an error in OpenAI's shape. Gives the object `error`.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let request_id = self.header("x-request-id").expect("x-request-id on an error");
        let error = client::error_object(&self.body, &request_id);
        assert_eq!(error["code"], code, "{self:?}");
        error
    }

    /// It is refused as a bot, and says for what reason and what to do about it.
    #[track_caller]
    pub(crate) fn assert_bot(&self, reason: &str) {
        self.assert_refused("bot_refused", reason);
    }

    /// It is refused with 403 under this code, and says for what reason.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: &str, reason: &str) {
        let error = self.assert_error(403, code);
        assert_eq!(error["type"], "permission_error");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(&format!("`{reason}`")), "not for {reason}: {message}");
    }

    /// What the edge told of it: its SERVER span.
    pub(crate) async fn span(&self, sink: &OtlpSink) -> Span {
        let of_edge = |span: &Span| span.kind == SpanKind::Server && span.service != "goblin-backend";
        let spans = sink.wait_for_spans(&self.trace, |spans| spans.iter().any(of_edge)).await;
        spans.into_iter().find(of_edge).expect("it was waited for")
    }

    /// The decision and its reason, as the edge told them.
    pub(crate) async fn decision(&self, sink: &OtlpSink) -> (String, String) {
        let span = self.span(sink).await;
        let text = |name: &str| {
            let value = span.attributes.get(name).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("no {name} in {:?}", span.attributes)).to_owned()
        };
        (text("goblin.admit.decision"), text("goblin.admit.reason"))
    }

    /// It was admitted, and the edge told for what reason.
    pub(crate) async fn assert_admitted(&self, sink: &OtlpSink, reason: &str) {
        self.assert_served();
        assert_eq!(self.decision(sink).await, ("admitted".to_owned(), reason.to_owned()));
    }
}
