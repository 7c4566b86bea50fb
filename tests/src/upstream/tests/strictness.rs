//! Requests that the real servers refuse are refused, in their words.

use serde_json::{Value, json};

use super::{
    super::*,
    families::{post, with_tools},
};

/// Status and error of the answer to the family's request with `more` members over it.
async fn refused(upstream: &Upstream, family: Family, more: Value) -> (u16, Value) {
    let mut body = with_tools(family, "Hello", false);
    for (name, value) in more.as_object().unwrap() {
        if value == "absent" {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    let answer = post(upstream, family, false).json(&body).send().await.unwrap();
    let status = answer.status().as_u16();
    let answer: Value = answer.json().await.unwrap();
    (status, answer["error"].clone())
}

async fn assert_refused(family: Family, cases: &[(Value, &str)]) {
    let upstream = Upstream::start().await.unwrap();
    assert_eq!(refused(&upstream, family, json!({})).await.0, 200, "without a fault it is taken");
    for (more, expected) in cases {
        let (status, error) = refused(&upstream, family, more.clone()).await;
        assert_eq!(status, 400, "{more} gives {error}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{more} gives {error}");
    }
}

#[tokio::test]
async fn openai_is_strict() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let called =
        json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": [call]}]);
    let details = json!([{"type": "reasoning.text", "text": "x"}]);
    let reasoned = json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "reasoning_details": details},
    ]);
    let strict = json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {}}});
    let cases = [
        (json!({"max_output_tokens": 1}), "Unrecognized request argument"),
        (json!({"conversation_id": "c"}), "Unrecognized request argument supplied: conversation_id"),
        (json!({"model": "gpt-4o-mini", "reasoning_effort": "none"}), "supplied: reasoning_effort"),
        (json!({"model": "gpt-4.1", "reasoning_effort": "low"}), "supplied: reasoning_effort"),
        (json!({"messages": reasoned}), "Unknown parameter: 'messages[1].reasoning_details'"),
        (json!({"messages": "absent"}), "Missing required parameter: 'messages'"),
        (json!({"messages": [{"role": "model", "content": "x"}]}), "Invalid value: 'model'"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]}), "Invalid content part"),
        (json!({"messages": called}), "must be followed by tool messages"),
        (json!({"messages": [{"role": "tool", "tool_call_id": "b", "content": "x"}]}), "preceding message"),
        (json!({"stream_options": {"include_usage": true}}), "only allowed when 'stream' is enabled"),
        (json!({"max_tokens": 1, "max_completion_tokens": 1}), "at the same time"),
        (json!({"tools": "absent", "tool_choice": "auto"}), "only allowed when 'tools'"),
        (json!({"response_format": strict}), "additionalProperties"),
    ];
    assert_refused(Family::OpenAi, &cases).await;
}

#[tokio::test]
async fn anthropic_is_strict() {
    let called = json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}]},
        {"role": "user", "content": "never mind"},
    ]);
    let budget = json!({"type": "enabled", "budget_tokens": 2048});
    let openai_picture = json!([{"type": "image_url", "image_url": {"url": "https://goblin.example/a.png"}}]);
    let picture = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "***"}}]);
    let cases = [
        (json!({"max_tokens": "absent"}), "max_tokens: Field required"),
        (json!({"max_tokens": 0}), "max_tokens: Input should be greater"),
        (json!({"stop": ["x"]}), "stop: Extra inputs are not permitted"),
        (json!({"messages": []}), "at least one message"),
        (json!({"messages": [{"role": "system", "content": "x"}]}), "Unexpected role \"system\""),
        (json!({"messages": [{"role": "assistant", "content": "x"}]}), "first message must use"),
        (json!({"messages": called}), "without `tool_result` blocks immediately after"),
        (json!({"messages": [{"role": "user", "content": openai_picture}]}), "does not match any expected tag"),
        (json!({"messages": [{"role": "user", "content": picture}]}), "no picture"),
        (json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}), "must be non-empty"),
        (json!({"temperature": 1.5}), "temperature: range: 0..1"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}), "must be greater than `thinking"),
        (json!({"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}}), "adaptive thinking is not supported"),
        (json!({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}), "effort parameter"),
        (json!({"model": "claude-opus-5-5", "max_tokens": 4096, "thinking": budget}), "thinking.type.enabled"),
        (json!({"conversation_id": "c"}), "conversation_id: Extra inputs are not permitted"),
        (json!({"tools": [{"name": "x", "parameters": {}}]}), "tools.0.custom.parameters: Extra inputs"),
        (json!({"tool_choice": "auto"}), "tool_choice: Input tag"),
    ];
    assert_refused(Family::Anthropic, &cases).await;
}

#[tokio::test]
async fn gemini_is_strict() {
    let user = json!({"role": "user", "parts": [{"text": "x"}]});
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]});
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {}}}]});
    let open = json!({"type": "object", "additionalProperties": false});
    let cases = [
        (json!({"messages": []}), "Unknown name \"messages\""),
        (json!({"contents": "absent"}), "contents is not specified"),
        (json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}), "valid role"),
        (json!({"contents": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}]}), "Unknown name \"type\""),
        (json!({"contents": [{"role": "user", "parts": [{}]}]}), "required oneof field 'data'"),
        (json!({"contents": [user, call, user]}), "number of function response parts"),
        (json!({"contents": [user, call, result]}), "missing a thought_signature"),
        (json!({"generationConfig": {"maxTokens": 1}}), "Unknown name \"maxTokens\" at 'generation_config'"),
        (json!({"generationConfig": {"responseSchema": {"type": "object"}}}), "mime type"),
        (json!({"tools": [{"functionDeclarations": [{"name": "x", "parameters": open}]}]}), "\"additionalProperties\""),
        (json!({"toolConfig": {"functionCallingConfig": {"mode": "required"}}}), "Invalid value at"),
    ];
    assert_refused(Family::Gemini, &cases).await;
}

/// Status of the answer to a request in the family's shape for `model`, with `more` in it.
async fn status(upstream: &Upstream, family: Family, model: &str, more: Value) -> u16 {
    let mut body = with_tools(family, "Hello", false);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if family != Family::Gemini {
        body["model"] = model.into();
    }
    let request = post(upstream, family, false).build().unwrap();
    let url = request.url().as_str().replace("gemini-3.8-flash", model);
    let client = crate::http_client::new();
    client.post(url).headers(request.headers().clone()).json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_model_has_its_own_way_to_think() {
    let upstream = Upstream::start().await.unwrap();
    let budget = || json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2048}});
    let adaptive = || json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}});
    let effort = || json!({"reasoning_effort": "low"});
    let config = |thinking: Value| json!({"generationConfig": {"thinkingConfig": thinking}});
    for (family, model, more, expected) in [
        (Family::Anthropic, "claude-haiku-4-5", budget(), 200),
        (Family::Anthropic, "claude-haiku-4-5", adaptive(), 400),
        (Family::Anthropic, "claude-sonnet-4-6", budget(), 200),
        (Family::Anthropic, "claude-sonnet-4-6", adaptive(), 200),
        (Family::Anthropic, "claude-sonnet-5-5", budget(), 400),
        (Family::Anthropic, "claude-sonnet-5-5", adaptive(), 200),
        (Family::OpenAi, "gpt-6-luna", effort(), 200),
        (Family::OpenAi, "gpt-4.1-mini", effort(), 400),
        (Family::OpenAi, "gpt-4.1-mini", json!({"reasoning_effort": null}), 200),
        (Family::Gemini, "gemini-3.8-flash", config(json!({"thinkingLevel": "low"})), 200),
        (Family::Gemini, "gemini-2.5-flash-lite", config(json!({"thinkingLevel": "low"})), 400),
        (Family::Gemini, "gemini-2.5-flash-lite", config(json!({"thinkingBudget": 0})), 200),
        (Family::Gemini, "gemini-2.5-pro", config(json!({"thinkingBudget": 0})), 400),
    ] {
        assert_eq!(status(&upstream, family, model, more.clone()).await, expected, "{model}: {more}");
    }
}

#[tokio::test]
async fn keys_and_versions_are_asked_for() {
    let upstream = Upstream::start().await.unwrap();
    let client = crate::http_client::new();
    for (family, path, expected) in [
        (Family::OpenAi, "/v1/chat/completions", (401, "authentication_error")),
        (Family::Anthropic, "/v1/messages", (401, "authentication_error")),
        (Family::Gemini, "/v1beta/models/m:generateContent", (403, "PERMISSION_DENIED")),
    ] {
        let url = format!("http://{}{path}", upstream.address());
        let answer = client.post(url).json(&with_tools(family, "Hello", false)).send().await.unwrap();
        let status = answer.status().as_u16();
        let error: Value = answer.json().await.unwrap();
        let kind = if family == Family::Gemini { &error["error"]["status"] } else { &error["error"]["type"] };
        assert_eq!((status, kind.as_str().unwrap()), expected);
    }
    let url = format!("http://{}/v1/messages", upstream.address());
    let body = with_tools(Family::Anthropic, "Hello", false);
    let answer = client.post(url).header("x-api-key", "sk").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("anthropic-version: header is required"));
    // What the version of 2026 has no more.
    for (version, status) in [("2023-06-01", 200), ("2026-10-21", 400)] {
        let mut body = with_tools(Family::Anthropic, "Hello", false);
        body["temperature"] = json!(0.5);
        let url = format!("http://{}/v1/messages", upstream.address());
        let request = client.post(url).header("x-api-key", "sk").header("anthropic-version", version);
        assert_eq!(request.json(&body).send().await.unwrap().status(), status, "{version}");
    }
}
