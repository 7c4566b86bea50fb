//! The clients' APIs at the edge: what each plans, and that each is refused in its own shape.

use goblin_shared::{
    api::Api,
    headers::{GOBLIN_ROUTE, REQUEST_ID},
    route::Plan,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    client::{self, Door},
    shared_stack::{STRICT_BODY_LIMIT, SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        each_api_is_planned_by_its_body,
        the_description_of_the_api_is_the_backends,
        refusals_of_messages_have_anthropics_shape,
        a_model_of_the_wrong_kind_is_told_where_it_belongs,
        a_path_near_an_api_is_nobodys,
    );
}

/// A body of each API that the demo answers.
fn demo(api: Api) -> Value {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    match api {
        Api::ChatCompletions => json!({"model": "goblin-demo", "messages": messages}),
        Api::Messages => json!({"model": "goblin-demo", "messages": messages, "max_tokens": 64}),
        Api::Embeddings => json!({"model": "goblin-demo-embedding", "input": ["Hello", "Goblin"]}),
    }
}

/// That with one member changed, or without it.
fn demo_with(api: Api, name: &str, value: Option<Value>) -> Value {
    let mut body = demo(api);
    let members = body.as_object_mut().expect("an object");
    members.remove(name);
    members.extend(value.map(|value| (name.to_owned(), value)));
    body
}

/// Status, and the object `error`, of an error in Anthropic's shape; panics on any other shape.
async fn anthropics(answer: Response) -> (u16, Value) {
    let (status, id) = (answer.status().as_u16(), client::header(&answer, REQUEST_ID).expect("a request id"));
    assert_eq!(client::header(&answer, "content-type").as_deref(), Some("application/json"));
    let text = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!(id)), "{body}");
    let error = &body["error"];
    for name in ["type", "message", "code"] {
        assert!(error[name].as_str().is_some_and(|text| !text.is_empty()), "{name} is missing in {body}");
    }
    assert!(error.get("param").is_some() && error.get("request_id").is_none(), "{body}");
    (status, error.clone())
}

async fn each_api_is_planned_by_its_body(shared: &SharedStack) {
    let strict = shared.strict().await;
    for (api, target) in [
        (Api::ChatCompletions, "demo/goblin-demo"),
        (Api::Messages, "demo/goblin-demo"),
        (Api::Embeddings, "demo/goblin-demo-embedding"),
    ] {
        let answer = client::post(strict, api.path(), &demo(api)).send().await.unwrap();
        let id = client::header(&answer, REQUEST_ID).unwrap();
        assert_eq!(answer.status(), 200, "{api:?}: {}", answer.text().await.unwrap());
        let came = |request: &goblin_tests::http_peer::ReceivedRequest| {
            request.header("x-goblin-request-id") == Some(id.as_str())
        };
        let received = strict.origin.wait_for_request(came).await;
        assert_eq!(received.uri.path(), api.path());
        let plan = Plan::parse(received.header(GOBLIN_ROUTE).expect("a plan")).unwrap();
        assert_eq!(plan.entries().iter().map(ToString::to_string).collect::<Vec<_>>(), [target]);
    }
}

async fn the_description_of_the_api_is_the_backends(shared: &SharedStack) {
    let strict = shared.strict().await;
    for method in [Method::GET, Method::HEAD] {
        let answer = client::request(method.clone(), strict, "/openapi.json").send().await.unwrap();
        let id = client::header(&answer, REQUEST_ID).unwrap();
        assert_eq!(answer.status(), 200);
        let came = |request: &goblin_tests::http_peer::ReceivedRequest| {
            request.header("x-goblin-request-id") == Some(id.as_str())
        };
        let received = strict.origin.wait_for_request(came).await;
        assert_eq!((received.uri.path(), received.header(GOBLIN_ROUTE)), ("/openapi.json", None));
    }
    let answer = client::request(Method::POST, strict, "/openapi.json").send().await.unwrap();
    assert_eq!(client::header(&answer, "allow").as_deref(), Some("GET, HEAD"));
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
}

async fn refusals_of_messages_have_anthropics_shape(shared: &SharedStack) {
    let strict = shared.strict().await;
    let path = Api::Messages.path();
    let with = |name: &str, value: Option<Value>| demo_with(Api::Messages, name, value);
    for (body, expected) in [
        (with("max_tokens", None), (400, "invalid_request_error", "invalid_field", json!("max_tokens"))),
        (with("max_tokens", Some(json!(0))), (400, "invalid_request_error", "invalid_field", json!("max_tokens"))),
        (with("messages", Some(json!([]))), (400, "invalid_request_error", "invalid_field", json!("messages"))),
        (
            with("thinking", Some(json!({"type": "adaptive"}))),
            (400, "invalid_request_error", "invalid_field", json!("thinking")),
        ),
        (with("model", Some(json!("goblin-dmo"))), (422, "invalid_request_error", "model_not_found", json!("model"))),
        (
            with("system", Some(json!("x".repeat(STRICT_BODY_LIMIT)))),
            (413, "request_too_large", "body_too_large", Value::Null),
        ),
    ] {
        let (status, error) = anthropics(client::post(strict, path, &body).send().await.unwrap()).await;
        let told = (status, error["type"].as_str().unwrap(), error["code"].as_str().unwrap(), error["param"].clone());
        assert_eq!(told, expected, "{error}");
    }
    let request = |method| client::request(method, strict, path);
    for (request, expected) in [
        (request(Method::GET), (405, "not_found_error", "method_not_allowed")),
        (request(Method::POST).body("{}"), (415, "invalid_request_error", "unsupported_media_type")),
        (
            request(Method::POST).header("content-type", "application/json").body("{"),
            (400, "invalid_request_error", "invalid_json"),
        ),
        (
            // As Anthropic's SDKs send a key.
            client::post(strict.without_key(), path, &demo(Api::Messages)).header("x-api-key", "gob_forged"),
            (401, "authentication_error", "invalid_api_key"),
        ),
    ] {
        let (status, error) = anthropics(request.send().await.unwrap()).await;
        assert_eq!((status, error["type"].as_str().unwrap(), error["code"].as_str().unwrap()), expected, "{error}");
    }
}

async fn a_model_of_the_wrong_kind_is_told_where_it_belongs(shared: &SharedStack) {
    let strict = shared.strict().await;
    for (api, model, place) in [
        (Api::ChatCompletions, "goblin-demo-embedding", "/v1/embeddings"),
        (Api::Messages, "embed", "/v1/embeddings"),
        (Api::Embeddings, "auto", "/v1/chat/completions"),
    ] {
        let body = demo_with(api, "model", Some(json!(model)));
        let answer = client::post(strict, api.path(), &body).send().await.unwrap();
        let error = if api == Api::Messages {
            anthropics(answer).await.1
        } else {
            let id = client::header(&answer, REQUEST_ID).unwrap();
            client::error_object(&answer.text().await.unwrap(), &id)
        };
        assert_eq!((&error["code"], &error["param"]), (&json!("invalid_field"), &json!("model")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(place), "{error}");
    }
}

async fn a_path_near_an_api_is_nobodys(shared: &SharedStack) {
    for path in ["/v1/messages/", "/v1/message", "/v1/embedding", "/v1/openapi.json"] {
        let answer = client::post(Door::from(shared), path, &demo(Api::Messages)).send().await.unwrap();
        let (status, code, _) = client::error(answer).await;
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
    }
}
