//! Answers as streams.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, PEERS, ask, send};
use crate::{
    client::{self, Events},
    shared_stack::SharedStack,
};

pub(super) async fn chat_streams_of_every_family_are_openais(shared: &SharedStack) {
    for (_, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let more = json!({"stream": true, "stream_options": {"include_usage": true}});
        let answer = send(shared, CHAT, &ask(&scenario, model, "Hello", more)).await;
        let (events, end) = Events::new(answer).rest().await;
        end.unwrap();
        assert_eq!(client::text(&events), "Hello from the upstream", "{model}");
        assert_eq!(events.last().map(String::as_str), Some("data: [DONE]"), "{model}: {events:?}");
        let chunks: Vec<Value> = events[..events.len() - 1]
            .iter()
            .map(|event| serde_json::from_str(&event["data: ".len()..]).unwrap())
            .collect();
        assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"), "{model}: {events:?}");
        let ids: Vec<&Value> = chunks.iter().map(|chunk| &chunk["id"]).collect();
        assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "one id for all, {model}: {ids:?}");
        let finishes: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
        assert_eq!(finishes, ["stop"], "{model}");
        let usages: Vec<&Value> =
            chunks.iter().map(|chunk| &chunk["usage"]).filter(|usage| usage.is_object()).collect();
        assert_eq!(usages.len(), 1, "{model}: {events:?}");
        assert_eq!([&usages[0]["prompt_tokens"], &usages[0]["completion_tokens"]], [3, 4], "{model}");

        let answer = send(shared, CHAT, &ask(&scenario, model, "Hello", json!({"stream": true}))).await;
        let (events, end) = Events::new(answer).rest().await;
        end.unwrap();
        assert!(
            events.iter().all(|event| !event.contains("total_tokens")),
            "it was not asked for, {model}: {events:?}"
        );
    }
}

pub(super) async fn message_streams_of_every_family_are_anthropics(shared: &SharedStack) {
    for (_, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let answer = send(shared, MESSAGES, &ask(&scenario, model, "Hello", json!({"stream": true}))).await;
        let (events, end) = Events::new(answer).rest().await;
        end.unwrap();
        let events: Vec<Value> = events.iter().map(|event| message_event(event)).collect();
        let kinds: Vec<&str> =
            events.iter().filter_map(|event| event["type"].as_str()).filter(|kind| *kind != "ping").collect();
        let mut once = kinds.clone();
        once.dedup();
        let order = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ];
        assert_eq!(once, order, "{model}: {events:?}");
        let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(text, "Hello from the upstream", "{model}");
        let start = events.iter().find(|event| event["type"] == "message_start").expect("a start");
        assert_eq!(
            (&start["message"]["role"], &start["message"]["content"]),
            (&json!("assistant"), &json!([])),
            "{model}"
        );
        let end = events.iter().find(|event| event["type"] == "message_delta").expect("an end");
        assert_eq!(end["delta"]["stop_reason"], "end_turn", "{model}: {end}");
        assert_eq!(end["usage"]["output_tokens"], 4, "{model}: {end}");
    }
}

/// The data of an event, whose name it repeats.
pub(super) fn message_event(event: &str) -> Value {
    let (name, data) = event.split_once('\n').unwrap_or_else(|| panic!("no name in {event:?}"));
    let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
    assert_eq!(data["type"].as_str(), name.strip_prefix("event: "), "{event:?}");
    data
}
