//! Answers in one piece.

use goblin_tests::upstream::{Family, Script};
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, PEERS, ask, send, served};
use crate::{client, shared_stack::SharedStack};

pub(super) async fn whoever_answers_the_api_is_the_clients(shared: &SharedStack) {
    for (_, provider, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let answer = send(shared, CHAT, &ask(&scenario, model, "Hello", json!({}))).await;
        let expected = format!("{provider}/{model}");
        assert_eq!(client::header(&answer, "x-goblin-model").as_deref(), Some(expected.as_str()));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["object"], "chat.completion", "{answer}");
        let choice = &answer["choices"][0];
        assert_eq!(choice["message"]["role"], "assistant", "{answer}");
        assert_eq!(choice["message"]["content"], "Hello from the upstream", "{answer}");
        assert_eq!(choice["finish_reason"], "stop", "{answer}");
        let usage = &answer["usage"];
        let tokens = [&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]];
        assert_eq!(tokens, [3, 4, 7], "{answer}");

        let answer = send(shared, MESSAGES, &ask(&scenario, model, "Hello", json!({}))).await;
        assert_eq!(client::header(&answer, "x-goblin-model").as_deref(), Some(expected.as_str()));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")), "{answer}");
        assert_eq!(answer["content"][0]["type"], "text", "{answer}");
        assert_eq!(answer["content"][0]["text"], "Hello from the upstream", "{answer}");
        assert_eq!(answer["stop_reason"], "end_turn", "{answer}");
        assert_eq!([&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]], [3, 4], "{answer}");
        assert_eq!(scenario.requests().len(), 2);
    }
}

pub(super) async fn tokens_from_a_cache_are_told_in_the_apis_own_way(shared: &SharedStack) {
    for (family, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let body = ask(&scenario, model, "Say it cached", json!({}));
        let usage = served(shared, CHAT, &body).await["usage"].clone();
        let tokens = [&usage["prompt_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]];
        assert_eq!(tokens, [12, 5], "OpenAI's count holds what came from a cache, {model}: {usage}");

        let usage = served(shared, MESSAGES, &body).await["usage"].clone();
        // Anthropic's does not, and tells what was written to one; others do not know.
        let input = if family == Family::Anthropic { 5 } else { 7 };
        assert_eq!([&usage["input_tokens"], &usage["cache_read_input_tokens"]], [input, 5], "{model}: {usage}");
    }
}
