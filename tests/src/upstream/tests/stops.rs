//! Why answers end, and what was thought before, in each family's words.

use serde_json::{Value, json};

use super::{
    super::*,
    families::{post, with_tools},
};

/// The answer to a greeting with `text`, the members of `more` over the request or, at Gemini, over its configuration.
async fn answer(upstream: &Upstream, family: Family, text: &str, more: &Value) -> Value {
    let mut body = with_tools(family, text, false);
    let place = if family == Family::Gemini {
        body["generationConfig"] = json!({});
        &mut body["generationConfig"]
    } else {
        &mut body
    };
    for (name, value) in more.as_object().unwrap() {
        place[name] = value.clone();
    }
    let answer = post(upstream, family, false).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{family:?} {more}");
    answer.json().await.unwrap()
}

fn reason(family: Family, answer: &Value) -> Value {
    match family {
        Family::OpenAi => answer["choices"][0]["finish_reason"].clone(),
        Family::Anthropic => json!([answer["stop_reason"], answer["stop_sequence"]]),
        Family::Gemini => answer["candidates"][0]["finishReason"].clone(),
    }
}

#[tokio::test]
async fn answers_end_for_a_reason() {
    let upstream = Upstream::start().await.unwrap();
    for (family, most, stop, expected) in [
        (
            Family::OpenAi,
            "max_tokens",
            json!({"stop": " the"}),
            [json!("length"), json!("stop"), json!("content_filter")],
        ),
        (
            Family::Anthropic,
            "max_tokens",
            json!({"stop_sequences": [" the"]}),
            [json!(["max_tokens", null]), json!(["stop_sequence", " the"]), json!(["refusal", null])],
        ),
        (
            Family::Gemini,
            "maxOutputTokens",
            json!({"stopSequences": [" the"]}),
            [json!("MAX_TOKENS"), json!("STOP"), json!("SAFETY")],
        ),
    ] {
        let short = answer(&upstream, family, "Hello", &json!({most: 2})).await;
        let stopped = answer(&upstream, family, "Hello", &stop).await;
        let filtered = answer(&upstream, family, "Please be filtered", &json!({})).await;
        for answer in [&short, &stopped] {
            let text = answer.to_string();
            assert!(text.contains("\"Hello from\""), "{family:?}: {text}");
        }
        assert!(!filtered.to_string().contains("Hello"), "{family:?}: {filtered}");
        assert_eq!([short, stopped, filtered].map(|answer| reason(family, &answer)), expected, "{family:?}");
    }
}

#[tokio::test]
async fn thoughts_come_first_and_are_counted() {
    let upstream = Upstream::start().await.unwrap();
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048});
    let seen = answer(&upstream, Family::Anthropic, "Hello", &thinking).await;
    assert_eq!((&seen["content"][0]["type"], &seen["content"][1]["type"]), (&json!("thinking"), &json!("text")));
    assert_eq!(seen["usage"]["output_tokens"], 10);
    let seen = answer(&upstream, Family::Gemini, "Hello", &json!({"thinkingConfig": {"includeThoughts": true}})).await;
    assert_eq!(seen["candidates"][0]["content"]["parts"][0]["thought"], true);
    let usage = &seen["usageMetadata"];
    assert_eq!([&usage["thoughtsTokenCount"], &usage["candidatesTokenCount"], &usage["totalTokenCount"]], [6, 4, 13]);
    let seen = answer(&upstream, Family::OpenAi, "Hello", &json!({"reasoning_effort": "low"})).await;
    assert_eq!(seen["usage"]["completion_tokens_details"]["reasoning_tokens"], 6);
}
