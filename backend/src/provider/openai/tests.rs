//! The adapter against a server on a socket of its own.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use goblin_shared::{request_id::RequestId, trace_context::TraceParent};
use http_body_util::BodyExt;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::*;
use crate::ports::UpstreamDetail;

const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-03";

type Seen = Arc<Mutex<Vec<(http::request::Parts, Bytes)>>>;

/// A server that gives one answer, and shows what it was asked.
struct Upstream {
    address: std::net::SocketAddr,
    seen: Seen,
}

impl Upstream {
    async fn answering(response: Response) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let response = Arc::new(Mutex::new(Some(response)));
        let answer = |State((seen, response)): State<(Seen, Arc<Mutex<Option<Response>>>)>, request: Request| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            seen.lock().unwrap().push((head, body));
            response.lock().unwrap().take().expect("asked once")
        };
        let router = Router::new().fallback(answer).with_state((seen.clone(), response));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    fn client(&self) -> OpenAi {
        let _ = rustls::crypto::ring::default_provider().install_default();
        OpenAi::new(Settings {
            base_url: format!("http://{}/v1", self.address),
            api_key: Some(SecretString::from("sk-test")),
            models: [("gpt-4.1".to_owned(), "tiny".to_owned())].into(),
            connect_timeout: Duration::from_secs(5),
        })
        .unwrap()
    }
}

fn call(body: &str) -> Call {
    Call {
        body: Bytes::copy_from_slice(body.as_bytes()),
        model: "gpt-4.1".to_owned(),
        request_id: RequestId::new(0, &[0; 10]),
        traceparent: Some(TraceParent::parse(PARENT).unwrap()),
    }
}

fn response(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// A body that the test sends piece by piece; `None` breaks the connection.
fn open_body() -> (Body, UnboundedSender<Option<&'static str>>) {
    let (sender, mut pieces) = unbounded_channel::<Option<&'static str>>();
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.recv().await {
            yield piece.ok_or_else(|| std::io::Error::other("broken by the test"));
        }
    };
    (Body::from_stream(stream), sender)
}

async fn events(body: impl Into<Body>) -> Vec<Result<StreamEvent, ProviderError>> {
    let upstream = Upstream::answering(response(200, "text/event-stream; charset=utf-8", body)).await;
    upstream.client().stream(call(r#"{"model":"gpt-4.1"}"#)).collect().await
}

fn chunk(data: &str) -> StreamEvent {
    StreamEvent::Chunk(data.to_owned())
}

#[tokio::test]
async fn only_what_belongs_there_is_sent() {
    let upstream = Upstream::answering(response(200, "application/json", r#"{ "x": 1.0 }"#)).await;
    let answer = upstream.client().complete(call(r#"{"y":[1e5],"model":"gpt-4.1"}"#)).await.unwrap();
    assert_eq!((answer.body.as_ref(), answer.status), (&br#"{ "x": 1.0 }"#[..], Some(200)));
    let seen = upstream.seen.lock().unwrap();
    let (head, body) = &seen[0];
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/v1/chat/completions"));
    assert_eq!(body.as_ref(), br#"{"y":[1e5],"model":"tiny"}"#);
    let mut names: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = ["accept", "authorization", "content-length", "content-type", "host", "traceparent", "user-agent"];
    assert_eq!(names, expected);
    assert_eq!(head.headers["authorization"], "Bearer sk-test");
    assert_eq!(head.headers["traceparent"], PARENT);
}

#[tokio::test]
async fn chunks_come_one_by_one_with_their_text_unchanged() {
    let (body, sender) = open_body();
    let upstream = Upstream::answering(response(200, "text/event-stream", body)).await;
    let mut stream = upstream.client().stream(call(r#"{"model":"gpt-4.1"}"#));
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamEvent::Opened(Some(200)));
    for piece in ["data: { \"unknown\":1.50 }\n\n", ": comment\n\ndata: {\ndata: }\r\n\r\n"] {
        sender.send(Some(piece)).unwrap();
        let event = stream.next().await.unwrap().unwrap();
        let StreamEvent::Chunk(data) = event else { panic!("{event:?}") };
        assert!(["{ \"unknown\":1.50 }", "{\n}"].contains(&data.as_str()), "{data}");
    }
    sender.send(Some("data: [DONE]\n\n")).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamEvent::Done);
    assert!(stream.next().await.is_none());
    let seen = upstream.seen.lock().unwrap();
    assert_eq!(seen[0].1.as_ref(), br#"{"stream_options":{"include_usage":true},"model":"tiny"}"#);
    assert_eq!(seen[0].0.headers["accept"], "text/event-stream");
}

#[tokio::test]
async fn giving_up_a_stream_closes_the_connection() {
    let (body, sender) = open_body();
    let upstream = Upstream::answering(response(200, "text/event-stream", body)).await;
    let mut stream = upstream.client().stream(call(r#"{"model":"gpt-4.1"}"#));
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    sender.closed().await;
}

#[tokio::test]
async fn ends_are_told_apart() {
    let ended = events("data: {}\n\ndata: [DONE]").await;
    assert!(matches!(ended.last(), Some(Ok(StreamEvent::Done))), "{ended:?}");
    let unsaid: Vec<_> = events("data: {}\n\n").await.into_iter().map(Result::unwrap).collect();
    assert_eq!(unsaid, [StreamEvent::Opened(Some(200)), chunk("{}")]);

    let (body, sender) = open_body();
    sender.send(Some("data: {}\n\n")).unwrap();
    sender.send(None).unwrap();
    let broken = events(body).await;
    assert!(matches!(broken.last(), Some(Err(ProviderError::Broken(_)))), "{broken:?}");

    let reported = events("data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n").await;
    let detail = UpstreamDetail { kind: Some("server_error".to_owned()), ..UpstreamDetail::default() };
    assert!(matches!(reported.last(), Some(Err(ProviderError::Reported(told))) if *told == detail), "{reported:?}");
}

#[tokio::test]
async fn answers_that_are_none_are_garbage() {
    for body in ["", "<html>", "[]", "null", "{", "{} {}"] {
        let upstream = Upstream::answering(response(200, "application/json", body)).await;
        let error = upstream.client().complete(call(r#"{"model":"gpt-4.1"}"#)).await.unwrap_err();
        assert!(matches!(error, ProviderError::Garbage(_)), "{body}: {error:?}");
    }
    let upstream = Upstream::answering(response(200, "application/json", "{}")).await;
    let last = upstream.client().stream(call(r#"{"model":"gpt-4.1"}"#)).collect::<Vec<_>>().await.pop();
    assert!(matches!(last, Some(Err(ProviderError::Garbage(_)))), "{last:?}");
}

#[tokio::test]
async fn errors_come_before_anything_else_and_redirects_are_not_followed() {
    for (status, stream) in [(500, true), (500, false), (302, true), (302, false)] {
        let mut response = response(status, "application/json", "{}");
        response.headers_mut().insert("location", HeaderValue::from_static("/elsewhere"));
        let upstream = Upstream::answering(response).await;
        let call = call(r#"{"model":"gpt-4.1"}"#);
        let error = if stream {
            upstream.client().stream(call).next().await.unwrap().unwrap_err()
        } else {
            upstream.client().complete(call).await.unwrap_err()
        };
        assert_eq!(error.status(), Some(status));
        assert_eq!(upstream.seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn nobody_there_is_said_without_the_url() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream { address: gone.local_addr().unwrap(), seen: Seen::default() };
    drop(gone);
    let error = upstream.client().complete(call(r#"{"model":"gpt-4.1"}"#)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unreachable(_)), "{error:?}");
    assert!(!crate::monitoring::chain(&error).contains("/v1"), "{error}");
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    // One address a connection: the second request tells whether it came by the first one's.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peers = Arc::new(Mutex::new(Vec::new()));
    let answer = |State(peers): State<Arc<Mutex<Vec<_>>>>,
                  axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<std::net::SocketAddr>| async move {
        peers.lock().unwrap().push(peer);
        let pieces = ["data: {}\n\n", "data: [DONE]\n\n"].map(Ok::<_, Infallible>);
        response(200, "text/event-stream", Body::from_stream(futures_util::stream::iter(pieces)))
    };
    let service = Router::new().fallback(answer).with_state(peers.clone());
    let service = service.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let client = Upstream { address, seen: Seen::default() }.client();
    // The end of a body may arrive after its last event: then a connection is given back a moment later.
    for _ in 0..20 {
        let events = client.stream(call(r#"{"model":"gpt-4.1"}"#)).collect::<Vec<_>>().await;
        assert_eq!(events.len(), 3);
    }
    let peers = peers.lock().unwrap();
    let different = peers.iter().collect::<std::collections::HashSet<_>>().len();
    assert!(different < peers.len(), "{different} connections for {} requests", peers.len());
}
