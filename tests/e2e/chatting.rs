//! Chat through the edge URL, in one piece and streamed.

use goblin_tests::upstream::Script;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{self, Events},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        the_demo_provider_answers_in_one_piece,
        the_demo_provider_streams_the_same_words,
        unknown_fields_pass_unchanged_both_ways,
        chunks_arrive_in_lock_step_and_unchanged,
        the_upstream_is_asked_for_usage_but_the_client_sees_only_what_it_asked_for,
        models_are_listed,
        a_provider_gets_our_key_and_none_of_the_clients_head,
    );
}

async fn the_demo_provider_answers_in_one_piece(shared: &SharedStack) {
    let answer = client::chat(shared, &client::demo_chat("Hello, goblin!")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(client::header(&answer, "x-goblin-model").as_deref(), Some("demo/goblin-demo"));
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["object"], "chat.completion");
    assert!(!answer["choices"][0]["message"]["content"].as_str().unwrap().is_empty(), "{answer}");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
}

async fn the_demo_provider_streams_the_same_words(shared: &SharedStack) {
    let mut body = client::demo_chat("Stream to me");
    let whole: Value = client::chat(shared, &body).await.json().await.unwrap();
    body["stream"] = true.into();
    let (events, end) = Events::new(client::chat(shared, &body).await).rest().await;
    end.unwrap();
    assert_eq!(events.last().unwrap(), "data: [DONE]");
    assert_eq!(client::text(&events), whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(events.iter().all(|event| !event.contains("\"usage\":{")), "usage was not asked for: {events:?}");

    body["stream_options"] = json!({"include_usage": true});
    let (events, end) = Events::new(client::chat(shared, &body).await).rest().await;
    end.unwrap();
    let last: Value = serde_json::from_str(events[events.len() - 2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

async fn unknown_fields_pass_unchanged_both_ways(shared: &SharedStack) {
    // Numbers that a double would change, members in an odd order, nesting.
    let completion = r#"{"zeta":1.0,"id":"x","object":"chat.completion","created":1,"model":"m","big":12345678901234567890,"choices":[{"index":0,"message":{"role":"assistant","content":"ok","vendor":{"b":[1e400,-0.0],"a":null}},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"vendor_tokens":7}}"#;
    let script = Script::Raw { content_type: "application/json".into(), body: completion.into() };
    let scenario = shared.upstream.script(script);
    let sent = format!(
        r#"{{"future":{{"exact":0.10000000000000000000001,"big":98765432109876543210}},"model":"openai/gpt-4o-mini","goblin_test":"{}","messages":[{{"role":"user","content":"\u00e9","name_of_tomorrow":true}}],"temperature":1.0}}"#,
        scenario.id()
    );
    let request = client::request(Method::POST, shared, "/v1/chat/completions");
    let answer = request.header("content-type", "application/json").body(sent.clone()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), completion);
    let received = scenario.request().await;
    // The provider's own name of the model takes the place of what the client called it; all else is to the letter.
    let expected = sent.replace("openai/gpt-4o-mini", "gpt-4o-mini");
    assert_eq!(std::str::from_utf8(&received.body).unwrap(), expected);
}

async fn chunks_arrive_in_lock_step_and_unchanged(shared: &SharedStack) {
    let (script, steps) = Script::lock_step();
    let scenario = shared.upstream.script(script);
    let body = scenario.chat("gpt-4o-mini", json!({"stream": true}));
    // The head comes with the first content, so that the first chunk is sent before.
    steps.text("chunk 0");
    let mut events = Events::new(client::chat(shared, &body).await);
    for number in 1..=20 {
        // Only what has been confirmed lets the next one go.
        let got = events.next_json().await;
        assert_eq!(got["choices"][0]["delta"]["content"], format!("chunk {}", number - 1));
        steps.chunk(&json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "vendor": {"n": number},
            "choices": [{"index": 0, "delta": {"content": format!("chunk {number}")}, "finish_reason": null}],
        }));
    }
    assert_eq!(events.next_json().await["vendor"]["n"], 20);
    steps.chunk(&json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    steps.done();
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_eq!(rest.last().unwrap(), "data: [DONE]");
}

async fn the_upstream_is_asked_for_usage_but_the_client_sees_only_what_it_asked_for(shared: &SharedStack) {
    let scenario = shared.upstream.script(Script::Friendly);
    let body = scenario.chat("gpt-4o-mini", json!({"stream": true, "stream_options": {"later": 1}}));
    let (events, end) = Events::new(client::chat(shared, &body).await).rest().await;
    end.unwrap();
    assert!(events.iter().all(|event| !event.contains("total_tokens")), "{events:?}");
    let asked = scenario.request().await.json();
    assert_eq!(asked["stream_options"], json!({"later": 1, "include_usage": true}));
}

async fn models_are_listed(shared: &SharedStack) {
    let answer = client::request(Method::GET, shared, "/v1/models").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let list: Value = answer.json().await.unwrap();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    for id in ["goblin-demo", "gpt-4o-mini", "auto"] {
        assert!(ids.contains(&id), "{id} is missing in {ids:?}");
    }
}

async fn a_provider_gets_our_key_and_none_of_the_clients_head(shared: &SharedStack) {
    let scenario = shared.upstream.script(Script::Friendly);
    let request = client::post(shared, "/v1/chat/completions", &scenario.chat("gpt-4o-mini", json!({})));
    // Its API key is in `authorization` by now.
    let request = request.header("cookie", "session=1").header("baggage", "user=1").header("x-secret", "s");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let received = scenario.request().await;
    assert_eq!(received.header("authorization"), Some("Bearer sk-of-the-tests"));
    for name in ["cookie", "baggage", "x-secret", "tracestate", "x-request-id"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert!(received.headers.keys().all(|name| !name.as_str().starts_with("x-goblin-")), "{:?}", received.headers);
}
