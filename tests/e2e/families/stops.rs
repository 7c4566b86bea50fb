//! Why an answer ends.

use goblin_tests::upstream::{Family, Script};
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, PEERS, ask, served};
use crate::shared_stack::SharedStack;

pub(super) async fn why_an_answer_ends_is_told_in_the_apis_own_words(shared: &SharedStack) {
    for (family, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let chat = async |text: &str, more: Value| {
            let answer = served(shared, CHAT, &ask(&scenario, model, text, more)).await;
            (answer["choices"][0]["finish_reason"].clone(), answer["choices"][0]["message"]["content"].clone())
        };
        assert_eq!(chat("Hello", json!({"max_tokens": 2})).await, (json!("length"), json!("Hello from")), "{model}");
        assert_eq!(chat("Hello", json!({"stop": " the"})).await, (json!("stop"), json!("Hello from")), "{model}");
        assert_eq!(chat("Please be filtered", json!({})).await.0, "content_filter", "{model}");

        let messages = async |text: &str, more: Value| {
            let answer = served(shared, MESSAGES, &ask(&scenario, model, text, more)).await;
            (answer["stop_reason"].clone(), answer["stop_sequence"].clone(), answer["content"][0]["text"].clone())
        };
        let (reason, _, text) = messages("Hello", json!({"max_tokens": 2})).await;
        assert_eq!((reason, text), (json!("max_tokens"), json!("Hello from")), "{model}");
        let (reason, sequence, text) = messages("Hello", json!({"stop_sequences": [" the"]})).await;
        assert_eq!(text, "Hello from", "{model}");
        // The others do not tell which of the two it was.
        let expected = match family {
            Family::Anthropic => (json!("stop_sequence"), json!(" the")),
            Family::OpenAi | Family::Gemini => (json!("end_turn"), Value::Null),
        };
        assert_eq!((reason, sequence), expected, "{model}");
        assert_eq!(messages("Please be filtered", json!({})).await.0, "refusal", "{model}");
    }
}
