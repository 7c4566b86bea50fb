//! The official OpenAI SDKs chat through the edge URL, with the demo provider and with a real wire upstream.

use goblin_tests::{upstream::Script, workspace};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    shared_stack::{SharedStack, shared},
    suite::{Outcome, Suite, skip, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        node_chats_with_the_demo_provider,
        node_chats_with_an_upstream,
        python_chats_with_the_demo_provider,
        python_chats_with_an_upstream,
    );
}

/// A Python that has the SDK; `cargo xtask test` sets it.
const PYTHON: &str = "GOBLIN_TEST_PYTHON";
const NO_PYTHON: &str =
    "there is no Python with the OpenAI SDK; `cargo xtask test` makes one where Python 3 is installed";

async fn node_chats_with_the_demo_provider(shared: &SharedStack) {
    check(&node(shared, "goblin-demo", None).await, None);
}

async fn node_chats_with_an_upstream(shared: &SharedStack) {
    let scenario = shared.upstream.script(Script::Friendly);
    check(&node(shared, "gpt-4o-mini", Some(scenario.id())).await, Some("Hello from the upstream"));
    assert_eq!(scenario.requests().len(), 2, "one in one piece, one streamed");
}

async fn python_chats_with_the_demo_provider(shared: &SharedStack) -> Outcome {
    let Ok(python) = std::env::var(PYTHON) else { return skip(NO_PYTHON) };
    check(&python_sdk(shared, &python, "goblin-demo", None).await, None);
    Outcome::Passed
}

async fn python_chats_with_an_upstream(shared: &SharedStack) -> Outcome {
    let Ok(python) = std::env::var(PYTHON) else { return skip(NO_PYTHON) };
    let scenario = shared.upstream.script(Script::Friendly);
    check(&python_sdk(shared, &python, "gpt-4o-mini", Some(scenario.id())).await, Some("Hello from the upstream"));
    assert_eq!(scenario.requests().len(), 2, "one in one piece, one streamed");
    Outcome::Passed
}

async fn node(shared: &SharedStack, model: &str, scenario: Option<&str>) -> Value {
    let mut command = workspace::command(workspace::node());
    command.arg("tests/sdk/chat.mjs");
    run(shared, command, model, scenario).await
}

async fn python_sdk(shared: &SharedStack, python: &str, model: &str, scenario: Option<&str>) -> Value {
    let mut command = workspace::command(python);
    command.arg("tests/sdk/chat.py");
    run(shared, command, model, scenario).await
}

async fn run(shared: &SharedStack, mut command: Command, model: &str, scenario: Option<&str>) -> Value {
    command.env("BASE_URL", shared.url("/v1")).env("API_KEY", &shared.stack.api_key).env("MODEL", model);
    command.kill_on_drop(true);
    if let Some(scenario) = scenario {
        command.env("SCENARIO", scenario);
    }
    let output = command.output().await.expect("the SDK's program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}\n{err}"))
}

fn check(seen: &Value, text: Option<&str>) {
    for form in ["unary", "stream"] {
        let seen = &seen[form];
        match text {
            Some(text) => assert_eq!(seen["text"], text, "{form}"),
            None => assert!(seen["text"].as_str().is_some_and(|text| !text.is_empty()), "{form}: {seen}"),
        }
        assert_eq!(seen["finish"], "stop", "{form}");
        assert!(seen["usage"]["total_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{form}: {seen}");
    }
    assert_eq!(seen["unary"]["text"], seen["stream"]["text"], "both forms say the same");
    assert_eq!(seen["unary"]["request_id"].as_str().map(str::len), Some(36));
    let error = &seen["error"];
    assert_eq!(error["type"], "UnprocessableEntityError");
    assert_eq!(
        (&error["status"], &error["code"], &error["param"]),
        (&422.into(), &"model_not_found".into(), &"model".into())
    );
    assert_eq!(error["request_id"].as_str().map(str::len), Some(36));
    let models = seen["models"].as_array().expect("models");
    assert!(models.iter().any(|model| model == "goblin-demo"), "{models:?}");
}
