//! What nothing can answer, and what may be.

use super::*;
use crate::catalogue::BUILT_IN;

fn refused(catalogue: &Catalogue, facts: &ChatFacts<'_>) -> ClientError {
    Plan::for_request(catalogue, facts, &seeded(1)).unwrap_err()
}

fn built_in() -> Catalogue {
    Catalogue::parse(BUILT_IN).unwrap()
}

#[test]
fn an_unknown_model_is_answered_with_near_ones() {
    let error = refused(&built_in(), &facts("gpt-4o-mni"));
    assert_eq!((error.code.status(), error.param.as_deref()), (422, Some("model")));
    insta::assert_snapshot!(error.message, @"The model `gpt-4o-mni` does not exist here; did you mean `gpt-4o-mini`, `gpt-4.1-mini`? GET /v1/models lists all.");
    let error = refused(&built_in(), &facts("no\nsuch"));
    insta::assert_snapshot!(error.message, @"The model `nosuch` does not exist here; GET /v1/models lists them.");
    assert!(refused(&built_in(), &facts(&"é".repeat(1_000))).message.len() < 250);
}

#[test]
fn a_need_that_nothing_meets_is_named_with_who_meets_it() {
    for (model, needs, param, message) in [
        (
            "goblin-demo",
            Capabilities::VISION,
            "messages",
            "`goblin-demo` does not take images; these models do: `openai/gpt-4.1`, `openai/gpt-4.1-mini`, \
             `openai/gpt-4o-mini`, `openai/gpt-6-luna`, `anthropic/claude-opus-5-5`.",
        ),
        (
            "gpt-4.1",
            Capabilities::JSON_SCHEMA.with(Capabilities::REASONING),
            "reasoning_effort",
            "`gpt-4.1` does not take an effort of reasoning; these models do: `openai/gpt-6-luna`, \
             `anthropic/claude-opus-5-5`, `anthropic/claude-sonnet-5-5`, \
             `anthropic/claude-haiku-5-5`, `anthropic/claude-haiku-4-5`.",
        ),
        (
            "demo/goblin-demo",
            Capabilities::VISION.with(Capabilities::JSON_SCHEMA).with(Capabilities::REASONING),
            "messages",
            "`demo/goblin-demo` does not take images with JSON schemas with an effort of reasoning; these models do: \
             `openai/gpt-6-luna`, `anthropic/claude-opus-5-5`, `anthropic/claude-sonnet-5-5`, \
             `anthropic/claude-haiku-5-5`, `anthropic/claude-haiku-4-5`.",
        ),
        (
            "gpt-6-luna",
            Capabilities::TOOLS.with(Capabilities::REASONING),
            "tools",
            "`gpt-6-luna` does not take tools; these models do: `anthropic/claude-opus-5-5`, `anthropic/claude-sonnet-5-5`, \
             `anthropic/claude-haiku-5-5`, `anthropic/claude-haiku-4-5`, \
             `gemini/gemini-3.8-flash`.",
        ),
    ] {
        let error = refused(&built_in(), &ChatFacts { needs, ..facts(model) });
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidField, Some(param)));
        assert_eq!(error.message, message);
    }
}

#[test]
fn needs_that_only_several_models_meet_together_are_named_together() {
    let models = [("p", r#","capabilities":["tools"]"#), ("q", r#","capabilities":["vision"]"#)];
    let targets = r#""strategy":"quality","targets":[{"model":"p/m"},{"model":"q/m"}]"#;
    let facts = ChatFacts { needs: Capabilities::TOOLS.with(Capabilities::VISION), ..facts("a") };
    let error = refused(&catalogue(&models, targets), &facts);
    assert_eq!(error.message, "`a` does not take tools with images, and no other model here does.");
}

#[test]
fn what_is_not_offered_is_no_alternative() {
    let health = well(&["demo"]);
    let facts = ChatFacts { needs: Capabilities::TOOLS, ..facts("goblin-demo") };
    let circumstances = Circumstances { health: Some(&health), ..seeded(1) };
    let error = Plan::for_request(&built_in(), &facts, &circumstances).unwrap_err();
    assert_eq!(error.message, "`goblin-demo` does not take tools, and no other model here does.");
}

#[test]
fn a_prompt_that_does_not_fit_goes_where_it_may_or_is_refused() {
    let large = r#","quality":1"#;
    let models = [("p", r#","quality":9"#), ("q", large), ("r", large)];
    let catalogue =
        catalogue(&models, r#""strategy":"quality","targets":[{"model":"p/m"},{"model":"q/m"},{"model":"r/m"}]"#);
    let plan = |prompt_tokens, output_tokens| {
        Plan::for_request(&catalogue, &ChatFacts { output_tokens, ..prompt("a", prompt_tokens) }, &seeded(1))
    };
    assert_eq!(order(&plan(744, None).unwrap()).1, "alias a; quality; first p/m");
    for (prompt, output) in [(745, None), (501, Some(500)), (1, Some(501)), (2_001, None)] {
        let expected = "alias a; quality; context_doubtful; first p/m";
        assert_eq!(order(&plan(prompt, output).unwrap()).1, expected, "{prompt} {output:?}");
    }
    let error = plan(2_002, None).unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::ContextLengthExceeded, Some("messages")));
    assert_eq!(error.message, "The prompt has about 2002 tokens; `a` takes at most 1000 with the answer. Send less.");
}

#[test]
fn the_small_are_left_out_while_the_large_fit() {
    let catalogue = built_in();
    let reason = |model, prompt_tokens, output_tokens| {
        let facts = ChatFacts { output_tokens, ..prompt(model, prompt_tokens) };
        Plan::for_request(&catalogue, &facts, &seeded(1)).unwrap().reason
    };
    assert_eq!(
        reason("fast", 300_000, None),
        "alias fast; fastest; first openai/gpt-4.1-mini; left out openai/gpt-4o-mini (context), \
         anthropic/claude-haiku-4-5 (context), demo/goblin-demo (context)"
    );
    assert_eq!(
        reason("smart", 10, Some(60_000)),
        "alias smart; quality; first openai/gpt-6-luna; left out openai/gpt-4.1 (output), \
         openai/gpt-4.1-mini (output), demo/goblin-demo (context)"
    );
    // Where all are too small, the largest stay.
    assert_eq!(
        reason("cheap", 1_100_000, None),
        "alias cheap; cheapest; context_doubtful; first openai/gpt-6-luna; left out openai/gpt-4o-mini (context), \
         openai/gpt-4.1-mini (context), gemini/gemini-2.5-flash-lite (context), \
         anthropic/claude-haiku-5-5 (context), demo/goblin-demo (context)"
    );
}
