//! Bad input gets a clear error in the contract's shape, with the request id.

use goblin_tests::{
    edge::{Edge, EdgeOptions},
    origin::{Origin, OriginAnswer},
    signing_key,
    upstream::Script,
};
use reqwest::{Body, Method};
use serde_json::json;

use crate::{
    client::{self, Door},
    shared_stack::{STRICT_BODY_LIMIT, SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        what_cannot_be_served_says_why,
        bodies_over_the_limit_are_refused_announced_or_not,
        a_backend_that_does_not_answer_in_time_is_a_504,
        a_backend_that_hangs_up_or_is_not_there_is_a_503,
        a_worker_that_is_set_up_wrongly_tells_the_operator_not_the_client,
        what_a_provider_answers_wrongly_is_told_without_its_internals,
    );
}

async fn what_cannot_be_served_says_why(shared: &SharedStack) {
    let chat = "/v1/chat/completions";
    let json = Some("application/json");
    let deep = format!("{{\"model\":\"auto\",\"messages\":[{{}}],\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
    for (method, path, content_type, body, expected) in [
        ("GET", "/", None, "", (404, "not_found")),
        ("POST", "/v1/chat/completions/", json, "{}", (404, "not_found")),
        ("GET", "/internal/health", None, "", (404, "not_found")),
        ("GET", chat, None, "", (405, "method_not_allowed")),
        ("DELETE", "/v1/models", None, "", (405, "method_not_allowed")),
        ("POST", "/healthz", None, "", (405, "method_not_allowed")),
        ("POST", chat, Some("text/plain"), "{}", (415, "unsupported_media_type")),
        ("POST", chat, None, "{}", (415, "unsupported_media_type")),
        ("POST", chat, json, "", (400, "invalid_json")),
        ("POST", chat, json, "{\"model\":", (400, "invalid_json")),
        ("POST", chat, json, &deep, (400, "invalid_json")),
        ("POST", chat, json, "{}", (400, "invalid_field")),
        ("POST", chat, json, r#"["auto",false,null,[{}]]"#, (400, "invalid_field")),
        ("POST", chat, json, r#"{"model":"auto"}"#, (400, "invalid_field")),
        ("POST", chat, json, r#"{"model":"gpt-9","messages":[{}]}"#, (422, "model_not_found")),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = client::request(method.clone(), shared, path).body(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = request.send().await.unwrap();
        if expected.0 == 405 {
            assert!(client::header(&answer, "allow").is_some(), "{method} {path} names no allowed method");
        }
        let (status, code, _) = client::error(answer).await;
        assert_eq!((status, code.as_str()), expected, "{method} {path} {body}");
    }
}

async fn bodies_over_the_limit_are_refused_announced_or_not(shared: &SharedStack) {
    let strict = shared.strict().await;
    let body = |bytes: usize| {
        let frame = client::demo_chat("").to_string().len();
        client::demo_chat(&"x".repeat(bytes - frame)).to_string()
    };
    let send = |body: Body| {
        let request = client::request(Method::POST, strict, "/v1/chat/completions");
        request.header("content-type", "application/json").body(body).send()
    };
    let chunked = |text: String| {
        let parts: Vec<Vec<u8>> = text.into_bytes().chunks(1_000).map(<[u8]>::to_vec).collect();
        Body::wrap_stream(futures_util::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
    };
    for too_large in [Body::from(body(STRICT_BODY_LIMIT + 1)), chunked(body(STRICT_BODY_LIMIT + 1))] {
        let (status, code, _) = client::error(send(too_large).await.unwrap()).await;
        assert_eq!((status, code.as_str()), (413, "body_too_large"));
    }
    for large_enough in [Body::from(body(STRICT_BODY_LIMIT)), chunked(body(STRICT_BODY_LIMIT))] {
        assert_eq!(send(large_enough).await.unwrap().status(), 200);
    }
}

async fn a_backend_that_does_not_answer_in_time_is_a_504(shared: &SharedStack) {
    let strict = shared.strict().await;
    strict.origin.order("/v1/models", OriginAnswer::Hang);
    let answer = client::request(Method::GET, strict, "/v1/models").send().await.unwrap();
    let trace = client::trace_id(&answer);
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (504, "backend_timeout"));
    let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 2).await;
    assert!(spans.iter().all(|span| span.attributes["error.type"] == "backend_timeout"), "{spans:#?}");
}

async fn a_backend_that_hangs_up_or_is_not_there_is_a_503(shared: &SharedStack) {
    let strict = shared.strict().await;
    strict.origin.order("/readyz", OriginAnswer::HangUp);
    let answer = client::request(Method::GET, strict, "/readyz").send().await.unwrap();
    assert_eq!(client::header(&answer, "retry-after").as_deref(), Some("5"));
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (503, "backend_unreachable"));

    // A port where nobody listens: that of an origin that has ended.
    let gone = Origin::start().await.unwrap();
    let url = gone.url();
    drop(gone);
    let vars = vec![
        ("BACKEND_ORIGIN".into(), url),
        ("EDGE_SIGNING_KEY".into(), signing_key::fresh("test").unwrap()),
        ("API_KEY_ISSUER_SECRETS".into(), shared.stack.issuer_secret.clone()),
    ];
    let lonely = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await.unwrap();
    let answer =
        client::chat(Door::with_key(&lonely, &shared.stack.api_key), &client::demo_chat("Anybody there?")).await;
    let (status, code, request_id) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (503, "backend_unreachable"));
    let answer = client::request(Method::GET, lonely.address(), "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), 200, "the edge itself is alive");
    let logged = |line: &str| line.contains(&request_id).then(|| line.to_owned());
    let line = lonely.process().wait_for_line(goblin_tests::patience::PATIENCE, logged).await.unwrap();
    assert!(line.contains("backend_unreachable") && line.contains("\"trace_id\""), "{line}");
    lonely.terminate().await;
}

async fn a_worker_that_is_set_up_wrongly_tells_the_operator_not_the_client(_: &SharedStack) {
    let vars = vec![
        ("BACKEND_ORIGIN".to_owned(), "not-a-url".to_owned()),
        ("EDGE_SIGNING_KEY".to_owned(), "dev:canary-secret".to_owned()),
    ];
    let edge = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await.unwrap();
    let answer = client::request(Method::GET, edge.address(), "/healthz").send().await.unwrap();
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (500, "misconfigured"));
    let told = |line: &str| line.contains("BACKEND_ORIGIN must be").then(|| line.to_owned());
    let line = edge.process().wait_for_line(goblin_tests::patience::PATIENCE, told).await.unwrap();
    assert!(line.contains("EDGE_SIGNING_KEY") && !line.contains("canary-secret"), "{line}");
    edge.terminate().await;
}

async fn what_a_provider_answers_wrongly_is_told_without_its_internals(shared: &SharedStack) {
    let garbage = || Script::Raw { content_type: "application/json".into(), body: "{\"half\":".into() };
    for (script, expected) in [
        (Script::error(401, "Incorrect API key provided: sk-canary", &[]), (502, "provider_failed")),
        (Script::error(500, "stack trace of sk-canary", &[]), (502, "provider_failed")),
        (Script::error(302, "moved", &[("location", "http://127.0.0.1:1/")]), (502, "provider_failed")),
        (Script::error(404, "The model `internal-name` does not exist", &[]), (502, "provider_failed")),
        (Script::error(413, "too large", &[]), (413, "body_too_large")),
        (Script::HangUp, (502, "provider_failed")),
        (garbage(), (502, "provider_failed")),
        (Script::error(429, "slow down", &[("retry-after", "7")]), (503, "provider_overloaded")),
        (Script::error(400, "`temperature` must be below 2", &[]), (400, "invalid_request")),
    ] {
        for stream in [false, true] {
            let again = match &script {
                Script::Status { status, headers, body } => {
                    Script::Status { status: *status, headers: headers.clone(), body: body.clone() }
                }
                Script::HangUp => Script::HangUp,
                _ => garbage(),
            };
            let scenario = shared.upstream.script(again);
            let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({"stream": stream}))).await;
            if expected.0 == 503 {
                assert_eq!(client::header(&answer, "retry-after").as_deref(), Some("7"));
            }
            let text = answer.headers().clone();
            let (status, code, _) = client::error(answer).await;
            assert_eq!((status, code.as_str()), expected, "stream: {stream}, {text:?}");
        }
    }
    let scenario = shared.upstream.script(Script::error(401, "Incorrect API key provided: sk-canary", &[]));
    let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({}))).await;
    assert!(!answer.text().await.unwrap().contains("canary"));
    let scenario = shared.upstream.script(Script::error(400, "`temperature` must be below 2", &[]));
    let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({}))).await;
    assert!(answer.text().await.unwrap().contains("`temperature` must be below 2"), "it concerns the client's request");
}
