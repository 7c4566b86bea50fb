//! What callers have kept, by its endpoints.

use axum::{extract::Request as AxumRequest, middleware::from_fn};
use goblin_shared::api::Api;
use http::{HeaderMap, Method};
use serde_json::json;

use super::*;
use crate::{
    chat::conversation::{ConversationService, memory::InMemory},
    http::{errors, layers},
    ports::{NewTurn, Owner, Principal},
};

/// Conversations that are gone with the test, and where they are.
pub(super) fn kept_in_memory(clock: Arc<ByHand>) -> (ConversationService, Arc<InMemory>) {
    let store = Arc::new(InMemory::default());
    let ids = Arc::new(RandomIds::new(clock.clone()));
    (ConversationService::new(store.clone(), clock, ids, false), store)
}

/// What was answered.
struct Told {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and code of an error, and the field at fault.
    fn error(&self) -> (u16, String, Value) {
        let error = &self.json()["error"];
        (self.status, error["code"].as_str().unwrap().to_owned(), error["param"].clone())
    }
}

fn owner(user: &str) -> Owner {
    Owner { tenant: String::new(), user: user.to_owned() }
}

/// Asks as `user`, with the handlers alone: who asks is said by the layer before them.
async fn ask(backend: &Backend, user: &str, method: Method, path: &str, body: &str) -> Told {
    let principal = Principal { owner: owner(user), anonymous: user.is_empty(), ..Principal::anonymous() };
    let all = layers::service_routes().into_iter().filter(|route| route.path.starts_with("/v1/conversations"));
    let router = all.fold(Router::new(), |router, route| router.route(route.path, route.handler));
    let name = move |mut request: AxumRequest, next: axum::middleware::Next| {
        request.extensions_mut().insert(principal.clone());
        next.run(request)
    };
    let router = router.layer(from_fn(name)).with_state(backend.service.clone());
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (response, _) = errors::render(response, Api::ChatCompletions, RequestId::new(0, &[0; 10]));
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Told { status: head.status.as_u16(), headers: head.headers, text }
}

async fn create(backend: &Backend, user: &str, body: &Value) -> String {
    let created = ask(backend, user, Method::POST, "/v1/conversations", &body.to_string()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.json()["id"].as_str().unwrap().to_owned()
}

fn keep(backend: &Backend, user: &str, id: &str, text: &str) {
    backend.conversations.keep(NewTurn {
        conversation_id: id.to_owned(),
        owner: owner(user),
        at_ms: NOW * 1_000,
        model: "openai/gpt-4.1".to_owned(),
        messages: json!([{ "role": "user", "content": text }, { "role": "assistant", "content": "yes" }]).to_string(),
        prompt_tokens: 7,
        completion_tokens: 3,
    });
}

#[tokio::test]
async fn conversations_are_made_read_renamed_and_deleted() {
    let backend = Backend::new(false);
    let body = json!({ "title": "Grüße", "instructions": "Be brief." });
    let id = create(&backend, "u", &body).await;
    let path = format!("/v1/conversations/{id}");
    let read = ask(&backend, "u", Method::GET, &path, "").await;
    let expected = json!({
        "id": id, "object": "conversation", "title": "Grüße", "instructions": "Be brief.",
        "created_at": NOW, "updated_at": NOW, "turns": 0,
        "usage": { "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
    });
    assert_eq!(read.json(), expected);
    let head = ask(&backend, "u", Method::HEAD, &path, "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    backend.clock.0.store(NOW + 5, Ordering::Relaxed);
    let renamed = ask(&backend, "u", Method::PATCH, &path, r#"{"title":null}"#).await.json();
    assert_eq!((&renamed["title"], &renamed["updated_at"]), (&Value::Null, &json!(NOW + 5)));
    let deleted = ask(&backend, "u", Method::DELETE, &path, "").await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    for method in [Method::GET, Method::DELETE] {
        let gone = ask(&backend, "u", method, &path, "").await;
        assert_eq!(gone.error(), (404, "conversation_not_found".to_owned(), Value::Null));
    }
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let backend = Backend::new(false);
    let mut ids = Vec::new();
    for number in 0..5 {
        backend.clock.0.store(NOW + number / 2, Ordering::Relaxed);
        ids.push(create(&backend, "u", &json!({})).await);
    }
    create(&backend, "other", &json!({})).await;
    let (mut found, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = ask(&backend, "u", Method::GET, &format!("/v1/conversations?{query}"), "").await.json();
        found.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        assert_eq!(page["has_more"], !page["next"].is_null());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&after={next}");
    }
    assert_eq!(found[0], ids[4]);
    found.sort_unstable();
    ids.sort_unstable();
    assert_eq!(found, ids);

    let id = create(&backend, "u", &json!({})).await;
    (1..=3).for_each(|number| keep(&backend, "u", &id, &format!("turn {number}")));
    let turns = format!("/v1/conversations/{id}/turns");
    let first = ask(&backend, "u", Method::GET, &format!("{turns}?limit=2"), "").await.json();
    assert_eq!(first["data"][1]["messages"][0]["content"], "turn 2");
    assert_eq!(first["data"][0]["usage"], json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 }));
    let next = first["next"].as_str().unwrap();
    let second = ask(&backend, "u", Method::GET, &format!("{turns}?limit=2&after={next}"), "").await.json();
    assert_eq!((&second["data"][0]["number"], &second["next"]), (&json!(3), &Value::Null));
    let wrong = ask(&backend, "u", Method::GET, &format!("/v1/conversations?after={next}"), "").await;
    assert_eq!(wrong.error(), (400, "invalid_field".to_owned(), json!("after")));
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let backend = Backend::new(false);
    let path = format!("/v1/conversations/{}", create(&backend, "u", &json!({})).await);
    for (method, path, body, code, param) in [
        (Method::POST, "/v1/conversations", "", "invalid_json", Value::Null),
        (Method::POST, "/v1/conversations", "[]", "invalid_json", Value::Null),
        (Method::POST, "/v1/conversations", r#"{"titel":"x"}"#, "invalid_field", json!("titel")),
        (Method::POST, "/v1/conversations", r#"{"title":7}"#, "invalid_field", json!("title")),
        (Method::POST, "/v1/conversations", r#"{"instructions":"a\u0000"}"#, "invalid_field", json!("instructions")),
        (Method::POST, "/v1/conversations", r#"{"title":""}"#, "invalid_field", json!("title")),
        (Method::POST, "/v1/conversations", r#"{"instructions":["x"]}"#, "invalid_field", json!("instructions")),
        (Method::PATCH, &path, "{}", "invalid_field", json!("title")),
        (Method::PATCH, &path, r#"{"title":"x","instructions":"y"}"#, "invalid_field", json!("instructions")),
        (Method::GET, "/v1/conversations?limit=0", "", "invalid_field", json!("limit")),
        (Method::GET, &format!("{path}/export?format=html"), "", "invalid_field", json!("format")),
    ] {
        let told = ask(&backend, "u", method, path, body).await;
        assert_eq!(told.error(), (400, code.to_owned(), param), "{path} {body}");
    }
    for (letters, status) in [("é".repeat(256), 200), ("é".repeat(257), 400)] {
        let told = ask(&backend, "u", Method::PATCH, &path, &json!({ "title": letters }).to_string()).await;
        assert_eq!(told.status, status);
    }
    let large = json!({ "instructions": "x".repeat(1_001) }).to_string();
    assert_eq!(ask(&backend, "u", Method::POST, "/v1/conversations", &large).await.status, 413);
}

#[tokio::test]
async fn somebody_elses_and_nobodys_are_kept_from_everybody() {
    let backend = Backend::new(false);
    let path = format!("/v1/conversations/{}", create(&backend, "u", &json!({})).await);
    for (method, below, body) in [
        (Method::GET, "", ""),
        (Method::PATCH, "", r#"{"title":"x"}"#),
        (Method::DELETE, "", ""),
        (Method::GET, "/turns", ""),
        (Method::GET, "/export", ""),
    ] {
        let path = format!("{path}{below}");
        let strangers = ask(&backend, "v", method.clone(), &path, body).await;
        assert_eq!(strangers.error(), (404, "conversation_not_found".to_owned(), Value::Null), "{method} {path}");
        let nobodys = ask(&backend, "", method.clone(), &path, body).await;
        assert_eq!(nobodys.error().1, "authentication_required", "{method} {path}");
    }
    backend.conversations.is_down.store(true, Ordering::Relaxed);
    let down = ask(&backend, "u", Method::GET, &path, "").await;
    assert_eq!((down.error().1.as_str(), &down.headers["retry-after"]), ("store_unavailable", &"1".parse().unwrap()));
    assert!(!down.text.contains("10.0.0.7"));
}

#[tokio::test]
async fn documents_hold_everything() {
    let backend = Backend::new(false);
    let id = create(&backend, "u", &json!({ "title": "All" })).await;
    (1..=20).for_each(|number| keep(&backend, "u", &id, &format!("turn {number}")));
    let path = format!("/v1/conversations/{id}/export");
    let told = ask(&backend, "u", Method::GET, &path, "").await;
    assert_eq!(told.headers["content-disposition"], format!("attachment; filename=\"{id}.json\""));
    let export = told.json();
    assert_eq!((&export["object"], &export["conversation"]["turns"]), (&json!("conversation.export"), &json!(20)));
    let numbers: Vec<_> = export["turns"].as_array().unwrap().iter().map(|turn| turn["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=20).map(Some).collect::<Vec<_>>());
    let told = ask(&backend, "u", Method::GET, &format!("{path}?format=markdown"), "").await;
    assert_eq!(told.headers["content-type"], "text/markdown; charset=utf-8");
    assert!(told.text.starts_with("# All\n"));
    assert_eq!(told.text.matches("\n## Turn ").count(), 20);
    let empty = create(&backend, "u", &json!({})).await;
    let told = ask(&backend, "u", Method::GET, &format!("/v1/conversations/{empty}/export"), "").await;
    assert_eq!(told.json()["turns"], json!([]));
}
