//! The adapter against a server on a socket of its own.

mod errors;
mod families;
mod streams;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt;
use goblin_shared::{
    request_id::RequestId,
    trace_context::{Formats, TraceParent},
};
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::{
    ports::{Chunk, Onward},
    provider::{http::Auth, keys::Key},
};

const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-03";

struct Fixed;

impl Clock for Fixed {
    fn unix_millis(&self) -> u64 {
        1_800_000_000_000
    }
}

type Seen = Arc<Mutex<Vec<(http::request::Parts, Bytes)>>>;
type Waiting = Arc<Mutex<Vec<Response>>>;

/// A server that gives its answers one after the other, and shows what it was asked.
struct Upstream {
    address: std::net::SocketAddr,
    seen: Seen,
}

impl Upstream {
    async fn answering(responses: impl IntoIterator<Item = Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let mut responses: Vec<Response> = responses.into_iter().collect();
        responses.reverse();
        let waiting = Waiting::new(Mutex::new(responses));
        let answer = |State((seen, waiting)): State<(Seen, Waiting)>, request: Request| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            seen.lock().unwrap().push((head, body));
            waiting.lock().unwrap().pop().expect("asked no more often than there are answers")
        };
        let router = Router::new().fallback(answer).with_state((seen.clone(), waiting));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    fn provider(&self, family: Family) -> Adapter {
        self.provider_with(family, |_| {})
    }

    fn provider_with(&self, family: Family, change: impl FnOnce(&mut Settings)) -> Adapter {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let auth = match family {
            Family::OpenAi => Auth::Bearer,
            Family::Anthropic => Auth::Field("x-api-key".parse().unwrap()),
            Family::Gemini => Auth::Field("x-goog-api-key".parse().unwrap()),
        };
        let mut settings = Settings {
            family,
            base_url: format!("http://{}/base", self.address),
            query: None,
            keys: vec![Key { secret: "sk-test".into(), weight: 1 }],
            auth,
            headers: HeaderMap::new(),
            connect_timeout: Duration::from_secs(5),
            formats: Formats::parse("tracecontext,b3").unwrap(),
            is_own: false,
        };
        change(&mut settings);
        let manner = Manner { models: [("m".to_owned(), Model::named("up/1"))].into(), ..Manner::default() };
        Adapter::http(settings, manner, Arc::new(Fixed)).unwrap()
    }

    /// Path and query, head and body of a request.
    fn asked(&self, index: usize) -> (String, HeaderMap, String) {
        let (head, body) = &self.seen.lock().unwrap()[index];
        (head.uri.to_string(), head.headers.clone(), String::from_utf8(body.to_vec()).unwrap())
    }
}

fn request(api: Api, body: &str) -> ClientRequest {
    ClientRequest {
        api,
        body: Bytes::copy_from_slice(body.as_bytes()),
        stream: body.contains("\"stream\":true"),
        include_usage: api != Api::ChatCompletions,
        anthropic_version: None,
        anthropic_beta: None,
        request_id: RequestId::new(0, &[0; 10]),
    }
}

fn call(provider: &Adapter, request: &ClientRequest) -> Call {
    let onward = Onward { tracestate: "vendor=1".to_owned(), baggage: "tenant=acme".to_owned() };
    Call {
        prepared: provider.prepare(request, "m").unwrap(),
        traceparent: Some(TraceParent::parse(PARENT).unwrap()),
        onward: Some(Arc::new(onward)),
    }
}

/// A call of the chat completions that needs no translation.
fn openai_call(provider: &Adapter) -> Call {
    call(provider, &request(Api::ChatCompletions, r#"{"model":"m","messages":[]}"#))
}

fn response(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The chunks among events.
fn chunks(events: &[Result<StreamEvent, ProviderError>]) -> Vec<Chunk> {
    let chunk = |event: &Result<StreamEvent, _>| match event {
        Ok(StreamEvent::Chunk(chunk)) => Some(chunk.clone()),
        _ => None,
    };
    events.iter().filter_map(chunk).collect()
}
