//! Conversations that callers have kept, through the edge.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    client::{self, Door, Events},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(suite, a_conversation_goes_on_and_is_its_owners_alone, what_a_model_does_not_take_is_left_out_and_told);
}

const ALL: &str = "/v1/conversations";

struct Caller(Door);

impl Caller {
    async fn new(shared: &SharedStack, user: &str) -> Self {
        let key = shared.stack.create_api_key(&["--user", user]).await.unwrap();
        Self(Door::with_key(&shared.stack.edge, &key))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        client::request(method, &self.0, path)
    }

    /// Status and body, which is `null` where there is none.
    async fn ask(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn create(&self, body: &Value) -> String {
        let (status, created) = self.ask(self.request(Method::POST, ALL).json(body)).await;
        assert_eq!(status, 201, "{created}");
        created["id"].as_str().unwrap().to_owned()
    }

    fn chat(&self, id: &str, text: &str, more: &Value) -> RequestBuilder {
        let mut body = client::demo_chat(text);
        body["conversation_id"] = json!(id);
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        client::post(&self.0, "/v1/chat/completions", &body)
    }
}

async fn a_conversation_goes_on_and_is_its_owners_alone(shared: &SharedStack) {
    let mine = Caller::new(shared, "conversing").await;
    let id = mine.create(&json!({"title": "Goblins", "instructions": "Be brief."})).await;
    let (status, whole) = mine.ask(mine.chat(&id, "Who are you?", &json!({}))).await;
    assert_eq!(status, 200, "{whole}");
    let streamed = mine.chat(&id, "And who am I?", &json!({"stream": true})).send().await.unwrap();
    assert_eq!(streamed.status(), 200);
    let (events, ended) = Events::new(streamed).rest().await;
    ended.unwrap();
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]"));

    // With the end of its answer, a turn is kept.
    let path = format!("{ALL}/{id}");
    let (_, kept) = mine.ask(mine.request(Method::GET, &path)).await;
    assert_eq!((&kept["title"], &kept["turns"]), (&json!("Goblins"), &json!(2)), "{kept}");
    let (_, turns) = mine.ask(mine.request(Method::GET, &format!("{path}/turns"))).await;
    let said = |turn: &Value| {
        let messages = turn["messages"].as_array().unwrap();
        messages.iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let turns = turns["data"].as_array().unwrap();
    assert_eq!(turns.iter().map(said).collect::<Vec<_>>(), [["user", "assistant"], ["user", "assistant"]]);
    assert_eq!(turns[0]["messages"][1]["content"], whole["choices"][0]["message"]["content"]);
    assert_eq!(turns[1]["messages"][1]["content"], client::text(&events), "as it was streamed");

    let other = Caller::new(shared, "overhearing").await;
    for request in [
        other.request(Method::GET, &path),
        other.request(Method::DELETE, &path),
        other.request(Method::PATCH, &path).json(&json!({"title": "Mine"})),
        other.request(Method::GET, &format!("{path}/export")),
        other.chat(&id, "What was said?", &json!({})),
    ] {
        let (status, told) = other.ask(request).await;
        assert_eq!((status, &told["error"]["code"]), (404, &json!("conversation_not_found")), "{told}");
    }
    let (_, list) = other.ask(other.request(Method::GET, ALL)).await;
    assert_eq!(list["data"], json!([]));

    let (status, renamed) = mine.ask(mine.request(Method::PATCH, &path).json(&json!({"title": "Gone"}))).await;
    assert_eq!((status, &renamed["title"]), (200, &json!("Gone")));
    let exported = mine.request(Method::GET, &format!("{path}/export?format=markdown")).send().await.unwrap();
    let exported = exported.text().await.unwrap();
    assert!(exported.contains("Gone") && exported.contains("And who am I?"), "{exported}");
    assert!(mine.ask(mine.request(Method::DELETE, &path)).await.0 < 300);
    assert_eq!(mine.ask(mine.request(Method::GET, &path)).await.0, 404);
    assert_eq!(mine.ask(mine.chat(&id, "Still there?", &json!({}))).await.0, 404);
}

async fn what_a_model_does_not_take_is_left_out_and_told(shared: &SharedStack) {
    let caller = Caller::new(shared, "long-winded").await;
    let id = caller.create(&json!({})).await;
    // The demo's model takes 8,192 tokens.
    let long = "goblins ".repeat(1_500);
    let mut dropped = Vec::new();
    for _ in 0..4 {
        let answer = caller.chat(&id, &long, &json!({"max_tokens": 100})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        dropped.push(client::header(&answer, "x-goblin-context-dropped"));
        answer.text().await.unwrap();
    }
    assert_eq!(dropped[0], None);
    assert!(dropped[3].as_deref().is_some_and(|dropped| dropped.parse::<u32>().unwrap() >= 1), "{dropped:?}");
}
