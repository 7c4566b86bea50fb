//! Answers that are no stream, and refusals.

use axum::body::Body;
use http::Request;
use serde_json::Value;
use tower::ServiceExt;

use super::{Backend, body, chat, demo_request, error, get};

#[tokio::test]
async fn what_clients_do_wrong_is_told() {
    let backend = Backend::new(false);
    let with = |name: &'static str, value: &str| {
        let mut request = demo_request();
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let large = format!(r#"{{"model":"goblin-demo","messages":[{{}}],"x":"{}"}}"#, "x".repeat(1_000));
    let nested = format!(r#"{{"model":"goblin-demo","messages":[{{}}],"x":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    let delete = Request::delete("/v1/models").body(Body::empty()).unwrap();
    for (request, status, code) in [
        (get("/"), 404, "not_found"),
        (get("/v1/chat/completions"), 405, "method_not_allowed"),
        (delete, 405, "method_not_allowed"),
        (with("content-type", "text/plain"), 415, "unsupported_media_type"),
        (with("content-encoding", "gzip"), 415, "unsupported_media_type"),
        (with("content-length", "1001"), 413, "body_too_large"),
        (chat(&large), 413, "body_too_large"),
        (chat("{"), 400, "invalid_json"),
        (chat(&nested), 400, "invalid_json"),
        (chat(r#"{"model":"goblin-demo"}"#), 400, "invalid_field"),
        (chat(r#"{"model":"nobody","messages":[{}]}"#), 422, "model_not_found"),
        (chat(r#"{"model":"gpt-4.1-mini","messages":[{}]}"#), 503, "no_provider"),
    ] {
        let name = format!("{} {}", request.method(), request.uri());
        let response = backend.send(request).await;
        assert_eq!(response.headers().contains_key("allow"), status == 405, "{name}");
        assert_eq!(error(response).await, (status, code.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn the_demo_ignores_nothing() {
    let backend = Backend::new(false);
    for (member, param) in [
        (r#""n":2"#, "n"),
        (r#""logprobs":true"#, "logprobs"),
        (r#""stop":"x""#, "stop"),
        (r#""response_format":{"type":"json_object"}"#, "response_format"),
        (r#""max_tokens":-1"#, "max_tokens"),
        (r#""temperature":"hot""#, "temperature"),
        (r#""of_tomorrow":1"#, "of_tomorrow"),
    ] {
        let request =
            chat(&format!(r#"{{"model":"goblin-demo",{member},"messages":[{{"role":"user","content":"hi"}}]}}"#));
        let response = backend.send(request).await;
        assert_eq!(response.status(), 400, "{member}");
        let error: Value = serde_json::from_str(&body(response).await).unwrap();
        assert_eq!(
            (&error["error"]["code"], &error["error"]["param"]),
            (&"invalid_field".into(), &param.into()),
            "{error}"
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(param), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_configured_is_not_to_be_tried_again() {
    let response = Backend::new(false).send(chat(r#"{"model":"gpt-4.1-mini","messages":[{}]}"#)).await;
    assert_eq!(response.headers()["x-should-retry"], "false");
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let backend = Backend::new(false);
    let response = backend.send(chat(r#"{"model":"gpt-4.1","messages":[{}]}"#)).await;
    assert_eq!(error(response).await, (500, "internal_error".to_owned()));
}

#[tokio::test]
async fn models_are_those_that_can_be_called() {
    let list = body(Backend::new(false).send(get("/v1/models")).await).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    let models =
        ["goblin-demo", "gpt-4.1", "gpt-4o-mini", "gpt-6-luna", "text-embedding-3-small", "text-embedding-3-large"];
    assert_eq!(names, [&models[..], &["auto", "cheap", "embed", "fast", "smart"]].concat());
}

#[tokio::test]
async fn an_ending_program_is_alive_but_not_ready() {
    let backend = Backend::new(true);
    for (router, drained, ready) in
        [(&backend.operations, false, 200), (&backend.operations, true, 503), (&backend.router, true, 503)]
    {
        if drained {
            backend.shutdown.drain();
        }
        let response = router.clone().oneshot(get("/readyz")).await.unwrap();
        assert_eq!(response.status(), ready);
        assert_eq!(response.headers().contains_key("retry-after"), ready == 503);
        assert_eq!(router.clone().oneshot(get("/healthz")).await.unwrap().status(), 200);
    }
}
