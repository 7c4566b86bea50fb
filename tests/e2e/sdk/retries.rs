//! The SDKs try again when they were told to, and not sooner.

use std::time::Duration;

use goblin_tests::upstream::Script;

use super::Program;
use crate::shared_stack::SharedStack;

pub(super) async fn openai_tries_again_when_it_was_told(shared: &SharedStack, program: Program) {
    tries_again(shared, &program, "openai", "gpt-4o-mini", "/v1").await;
}

pub(super) async fn anthropic_tries_again_when_it_was_told(shared: &SharedStack, program: Program) {
    tries_again(shared, &program, "anthropic", "claude-haiku-4-5", "").await;
}

/// The provider wants a second of rest. The stack does not wait that long itself, so that its client has to.
async fn tries_again(shared: &SharedStack, program: &Program, sdk: &str, model: &str, base_path: &str) {
    let refusal = Script::error(429, "slow down", &[("retry-after", "1")]);
    let scenario = shared.upstream.script(Script::in_turn(vec![refusal, Script::Friendly]));
    let stack = shared.impatient().await;
    let env = [("SDK", sdk), ("MODEL", model), ("MARKER", &scenario.marker())];
    let seen = program.run("retries", &stack.edge.url(base_path), &stack.api_key, &env).await;
    assert_eq!(seen["text"], "Hello from the upstream");
    let requests = scenario.requests();
    assert_eq!(requests.len(), 2);
    let rest = requests[1].arrived - requests[0].arrived;
    assert!(rest >= Duration::from_secs(1), "it came back after {rest:?}");
}
