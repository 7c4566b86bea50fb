//! An origin that costs as little as it can: every request gets the same bytes.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello from a canned answer."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}"#;

/// The query with which a stream is asked for.
pub(crate) const STREAM: &str = "stream";
const BETWEEN_CHUNKS: Duration = Duration::from_millis(5);
const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// What wrk sends.
pub(crate) const REQUEST: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer in one sentence."},{"role":"user","content":"Say hello to the goblin, please, and nothing else."}],"temperature":0.2}"#;

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                // An error here is a client that left.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
        Ok(Self { address })
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Whoever asks for a stream gets one that does not end by itself; a collector's paths are answered as one does.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let is_telemetry = ["/v1/traces", "/v1/metrics", "/v1/logs"].contains(&request.uri().path());
    let is_stream = request.uri().query() == Some(STREAM);
    request.into_body().collect().await?;
    let (kind, body) = if is_telemetry {
        ("application/x-protobuf", Full::new(Bytes::new()).boxed_unsync())
    } else if is_stream {
        let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(BETWEEN_CHUNKS));
        let chunks = ticks.map(|_| Ok(Frame::data(Bytes::from_static(CHUNK.as_bytes()))));
        ("text/event-stream", StreamBody::new(chunks).boxed_unsync())
    } else {
        ("application/json", Full::new(Bytes::from_static(COMPLETION.as_bytes())).boxed_unsync())
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(answer)
}

/// The same with a prompt of so many bytes.
pub(crate) fn request_of(bytes: usize) -> String {
    let prompt = "Once upon a time a goblin counted every token that came by. ".repeat(bytes / 60 + 1);
    REQUEST.replace("Say hello to the goblin, please, and nothing else.", &prompt[..bytes])
}
