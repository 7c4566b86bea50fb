//! What users of OpenAI's SDKs do.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{MODELS, Program};
use crate::shared_stack::SharedStack;

pub(super) async fn chats_with_the_demo_provider(shared: &SharedStack, program: Program) {
    check(&run(shared, &program, "chat", &[("MODEL", "goblin-demo")]).await, None);
}

pub(super) async fn chats_with_an_upstream(shared: &SharedStack, program: Program) {
    let scenario = shared.upstream.script(Script::Friendly);
    let seen = run(shared, &program, "chat", &[("MODEL", "gpt-4o-mini"), ("SCENARIO", scenario.id())]).await;
    check(&seen, Some("Hello from the upstream"));
    assert_eq!(scenario.requests().len(), 2, "one in one piece, one streamed");
}

/// The model calls two tools, gets their results and speaks; in one piece and streamed.
pub(super) async fn calls_tools_of_every_family(shared: &SharedStack, program: Program) {
    for model in MODELS {
        let scenario = shared.upstream.script(Script::Friendly);
        let seen = run(shared, &program, "tools", &[("MODEL", model), ("MARKER", &scenario.marker())]).await;
        for form in ["unary", "stream"] {
            let expected = json!({
                "calls": [["weather", {"city": "goblin"}], ["time", {"city": "goblin"}]],
                "finish": "tool_calls",
                "text": "The tool said: weather of goblin; time of goblin",
                "last_finish": "stop",
            });
            assert_eq!(seen[form], expected, "{model}, {form}");
        }
        assert_eq!(scenario.requests().len(), 4, "{model}");
    }
}

pub(super) async fn gets_json_that_fits_a_schema(shared: &SharedStack, program: Program) {
    for model in MODELS {
        let scenario = shared.upstream.script(Script::Friendly);
        let seen = run(shared, &program, "structured", &[("MODEL", model), ("MARKER", &scenario.marker())]).await;
        let goblin = json!({"name": "goblin", "age": 7, "mood": "grumpy"});
        assert_eq!((&seen["parsed"], &seen["streamed"]), (&goblin, &goblin), "{model}");
        assert_eq!(scenario.requests().len(), 2, "{model}");
    }
}

pub(super) async fn embeds(shared: &SharedStack, program: Program) {
    for model in ["text-embedding-3-small", "gemini-embedding-001"] {
        let seen = run(shared, &program, "embeddings", &[("MODEL", model)]).await;
        assert_eq!(seen["packed"]["vectors"], seen["floats"]["vectors"], "{model}: packed or not, they are the same");
        let vectors = seen["floats"]["vectors"].as_array().expect("vectors");
        assert_eq!(vectors.len(), 2, "{model}");
        assert_ne!(vectors[0], vectors[1], "{model}: the texts differ");
        assert_eq!(seen["short"]["vectors"][0].as_array().map(Vec::len), Some(4), "{model}");
        assert_eq!(seen["packed"]["tokens"], 4, "{model}");
    }
}

async fn run(shared: &SharedStack, program: &Program, name: &str, env: &[(&str, &str)]) -> Value {
    program.run(name, &shared.url("/v1"), &shared.stack.api_key, env).await
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
