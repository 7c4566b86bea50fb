//! Anthropic's API: the shape of its answers, its errors and its streams.

use axum::body::Body;
use http::Request;
use serde_json::Value;

use super::{Backend, body, next_frame};
use crate::{ports::ProviderError, provider::scripted::text};

fn messages(body: &str) -> Request<Body> {
    let request = Request::post("/v1/messages").header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}

const HELLO: &str = r#""max_tokens":50,"messages":[{"role":"user","content":"hi"}]"#;

#[tokio::test]
async fn the_demo_answers_in_anthropics_shape() {
    let backend = Backend::new(false);
    let response = backend.send(messages(&format!(r#"{{"model":"goblin-demo",{HELLO}}}"#))).await;
    assert_eq!(response.headers()["x-goblin-model"], "demo/goblin-demo");
    assert_eq!(response.headers()["request-id"], response.headers()["x-request-id"]);
    let answer: Value = serde_json::from_str(&body(response).await).unwrap();
    assert_eq!(
        (&answer["type"], &answer["role"], &answer["stop_reason"]),
        (&"message".into(), &"assistant".into(), &"end_turn".into())
    );
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("demo provider"), "{answer}");

    let response = backend.send(messages(&format!(r#"{{"model":"goblin-demo","stream":true,{HELLO}}}"#))).await;
    let stream = body(response).await;
    assert!(stream.starts_with("event: message_start\ndata: {") && !stream.contains("[DONE]"), "{stream}");
    assert!(stream.trim_end().ends_with(r#"data: {"type":"message_stop"}"#), "{stream}");
}

#[tokio::test]
async fn errors_have_anthropics_shape() {
    let backend = Backend::new(false);
    let with = |name: &'static str, value: &str| {
        let mut request = messages(&format!(r#"{{"model":"goblin-demo",{HELLO}}}"#));
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (request, status, kind, param) in [
        (messages("{"), 400, "invalid_request_error", None),
        (messages(r#"{"model":"goblin-demo","messages":[{}]}"#), 400, "invalid_request_error", Some("max_tokens")),
        (messages(&format!(r#"{{"model":"nobody",{HELLO}}}"#)), 422, "invalid_request_error", Some("model")),
        (with("content-type", "text/plain"), 415, "invalid_request_error", None),
        (with("anthropic-version", "tomorrow"), 400, "invalid_request_error", Some("anthropic-version")),
        (with("anthropic-beta", "a b"), 400, "invalid_request_error", Some("anthropic-beta")),
        // The demo speaks another format, in which nothing is in trial.
        (with("anthropic-beta", "files-api"), 400, "invalid_request_error", Some("anthropic-beta")),
    ] {
        let response = backend.send(request).await;
        assert_eq!(response.status(), status);
        let id = response.headers()["request-id"].to_str().unwrap().to_owned();
        let error: Value = serde_json::from_str(&body(response).await).unwrap();
        assert_eq!((&error["type"], &error["error"]["type"]), (&"error".into(), &kind.into()), "{error}");
        assert_eq!((error["error"]["param"].as_str(), &error["request_id"]), (param, &id.as_str().into()), "{error}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_its_error_event() {
    let backend = Backend::new(false);
    let request = messages(&format!(r#"{{"model":"gpt-4.1","stream":true,{HELLO}}}"#));
    backend.play([text("a")]);
    let mut stream = backend.send(request).await.into_body();
    assert!(next_frame(&mut stream).await.unwrap().contains("\"a\""));
    backend.steps.send(Err(ProviderError::Cut)).unwrap();
    let last = next_frame(&mut stream).await.unwrap();
    let data = last.strip_prefix("event: error\ndata: ").unwrap();
    let error: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&"error".into(), &"api_error".into()), "{error}");
    assert_eq!(next_frame(&mut stream).await, None);
}
