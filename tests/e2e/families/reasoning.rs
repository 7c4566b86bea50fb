//! How much is thought: each model is asked in the words that it takes, which its provider checks.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, ask, served};
use crate::shared_stack::SharedStack;

/// Models that reason: at Anthropic one that takes budgets and one that takes none, at Gemini one with levels and one
/// without.
const REASONING: [&str; 5] =
    ["gpt-6-luna", "claude-haiku-4-5", "claude-sonnet-5-5", "gemini-3.8-flash", "gemini-2.5-flash-lite"];

/// Enough for the answer and what is thought before it.
const MOST: u32 = 8_192;

/// Asks, and gives the answer, which a friendly provider gives only to what it takes.
async fn answered(shared: &SharedStack, path: &str, model: &str, more: &Value) {
    let scenario = shared.upstream.script(Script::Friendly);
    let mut body = ask(&scenario, model, "Hello", json!({"max_tokens": MOST}));
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let answer = served(shared, path, &body).await.to_string();
    assert!(answer.contains("Hello from the upstream"), "{model}, {more}: {answer}");
    let requests = scenario.requests();
    assert_eq!(requests.len(), 1, "{model}, {more}");
    assert!(!String::from_utf8_lossy(&requests[0].body).contains("conversation_id"), "{model}");
}

pub(super) async fn each_model_is_told_to_think_as_it_can_be(shared: &SharedStack) {
    for model in REASONING {
        for effort in ["low", "high"] {
            answered(shared, CHAT, model, &json!({"reasoning_effort": effort})).await;
        }
        // No budget passes to models that take none: the body of a Messages request is Anthropic's own there.
        let budget = json!({"type": "enabled", "budget_tokens": 2_048});
        if model != "claude-sonnet-5-5" {
            answered(shared, MESSAGES, model, &json!({"thinking": budget})).await;
        }
        if model != "claude-haiku-4-5" {
            answered(shared, MESSAGES, model, &json!({"thinking": {"type": "adaptive"}})).await;
        }
    }
}

pub(super) async fn not_to_think_is_nothing_to_models_that_cannot(shared: &SharedStack) {
    for model in REASONING.into_iter().chain(["gpt-4o-mini", "gpt-4.1"]) {
        answered(shared, MESSAGES, model, &json!({"thinking": {"type": "disabled"}})).await;
    }
}

pub(super) async fn what_keeps_requests_together_changes_no_answer(shared: &SharedStack) {
    for model in ["gpt-4o-mini", "claude-haiku-4-5", "gemini-3.8-flash"] {
        answered(shared, CHAT, model, &json!({"prompt_cache_key": "a-conversation"})).await;
    }
}
