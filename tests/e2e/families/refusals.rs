//! What a family cannot say.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, ask, send};
use crate::{client, shared_stack::SharedStack};

pub(super) async fn what_a_family_cannot_say_is_refused_by_its_field(shared: &SharedStack) {
    for (path, model, more, field) in [
        (CHAT, "claude-haiku-4-5", json!({"logprobs": true}), "logprobs"),
        (CHAT, "claude-haiku-4-5", json!({"logit_bias": {"50256": -100}}), "logit_bias"),
        (CHAT, "claude-haiku-4-5", json!({"field_of_tomorrow": 1}), "field_of_tomorrow"),
        (CHAT, "gemini-3.8-flash", json!({"logit_bias": {"50256": -100}}), "logit_bias"),
        (CHAT, "gemini-3.8-flash", json!({"field_of_tomorrow": 1}), "field_of_tomorrow"),
        (MESSAGES, "gpt-4o-mini", json!({"container": "c"}), "container"),
        (MESSAGES, "gpt-4o-mini", json!({"field_of_tomorrow": 1}), "field_of_tomorrow"),
        (MESSAGES, "gemini-3.8-flash", json!({"field_of_tomorrow": 1}), "field_of_tomorrow"),
    ] {
        let scenario = shared.upstream.script(Script::Friendly);
        let answer = send(shared, path, &ask(&scenario, model, "Hello", more)).await;
        let (status, id) = (answer.status(), client::header(&answer, "x-request-id"));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 400, "{model}, {field}: {answer}");
        let error = &answer["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!("invalid_field"), &json!(field)), "{model}: {answer}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(field), "it names the field: {message}");
        if path == MESSAGES {
            assert_eq!(
                (&answer["type"], &error["type"]),
                (&json!("error"), &json!("invalid_request_error")),
                "{answer}"
            );
            assert_eq!(answer["request_id"].as_str(), id.as_deref(), "{answer}");
        }
        assert!(scenario.requests().is_empty(), "{model} was asked in spite of {field}");
    }
}
