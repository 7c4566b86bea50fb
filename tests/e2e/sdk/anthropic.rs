//! What users of Anthropic's SDKs do, whoever answers.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{MODELS, Program};
use crate::shared_stack::SharedStack;

pub(super) async fn sends_messages_to_the_demo_provider(shared: &SharedStack, program: Program) {
    let seen = run(shared, &program, &[("MODEL", "goblin-demo")]).await;
    for form in ["unary", "stream"] {
        let seen = &seen[form];
        assert!(seen["text"].as_str().is_some_and(|text| !text.is_empty()), "{form}: {seen}");
        assert_eq!(seen["stop"], "end_turn", "{form}");
        assert!(seen["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{form}: {seen}");
    }
    assert_eq!(seen["unary"]["text"], seen["stream"]["text"], "both forms say the same");
}

pub(super) async fn sends_messages_to_every_family(shared: &SharedStack, program: Program) {
    for model in MODELS {
        let scenario = shared.upstream.script(Script::Friendly);
        let env = [("MODEL", model), ("MARKER", &scenario.marker()), ("TOOLS", "1")];
        let seen = run(shared, &program, &env).await;
        for form in ["unary", "stream"] {
            let hello =
                json!({"text": "Hello from the upstream", "stop": "end_turn", "input_tokens": 3, "output_tokens": 4});
            assert_eq!(seen[form], hello, "{model}, {form}");
            let tools = json!({
                "calls": [["weather", {"city": "goblin"}], ["time", {"city": "goblin"}]],
                "stop": "tool_use",
                "text": "The tool said: weather of goblin; time of goblin",
                "last_stop": "end_turn",
            });
            assert_eq!(seen["tools"][form], tools, "{model}, {form}");
        }
        assert_eq!(scenario.requests().len(), 6, "{model}");
    }
}

async fn run(shared: &SharedStack, program: &Program, env: &[(&str, &str)]) -> Value {
    // The SDK writes `/v1/messages` behind it.
    program.run("messages", &shared.url(""), &shared.stack.api_key, env).await
}
