//! Requests translated, and what is refused by which path.

use serde_json::{Value, json};

use crate::{
    ports::Inexpressible,
    wire::{Model, anthropic, gemini, openai},
};

/// The path by which something is refused, with a sentence for the client.
pub(super) fn path(Inexpressible { param, message }: Inexpressible) -> String {
    assert!(
        message.ends_with('.') && message.starts_with(|first: char| first.is_uppercase() || first == '`'),
        "{message}"
    );
    param
}

fn to_anthropic(request: &Value) -> Result<Value, String> {
    let request = openai::read_request(request.to_string().as_bytes()).map_err(path)?;
    let written = anthropic::write_request(&request, &Model::named("m")).map_err(path)?;
    Ok(serde_json::from_slice(&written).unwrap())
}

fn to_openai(request: &Value) -> Result<Value, String> {
    to_openai_model(request, &Model::named("m"))
}

fn to_openai_model(request: &Value, model: &Model) -> Result<Value, String> {
    let request = anthropic::read_request(request.to_string().as_bytes()).map_err(path)?;
    let target = openai::Target {
        model,
        max_tokens_field: "max_completion_tokens",
        stream_usage: true,
        reasoning_details: true,
    };
    let written = openai::write_request(&request, target).map_err(path)?;
    Ok(serde_json::from_slice(&written).unwrap())
}

/// A request with some members besides those that must be there, or in their place.
fn with(members: &Value) -> Value {
    let mut request = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]});
    let members = members.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(members);
    request
}

#[test]
fn openai_to_anthropic() {
    let request: Value = serde_json::from_str(include_str!("../fixtures/openai/request.json")).unwrap();
    let expected = json!({
        "model": "m",
        "max_tokens": 100,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "tool_use", "id": "call_a", "name": "look", "input": {"at": 1}},
                {"type": "tool_use", "id": "call_b", "name": "look", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_a", "content": "a cat"},
                {"type": "tool_result", "tool_use_id": "call_b", "content": "a dog"},
                {"type": "text", "text": "And?"},
            ]},
        ],
        "tools": [{"name": "look", "description": "Looks.", "strict": true,
            "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u1"},
        "stream": true,
    });
    assert_eq!(to_anthropic(&request), Ok(expected));
}

#[test]
fn anthropic_to_openai() {
    let request: Value = serde_json::from_str(include_str!("../fixtures/anthropic/request.json")).unwrap();
    let expected = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ]},
            {"role": "assistant", "content": "I look.",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"},
                    {"type": "reasoning.encrypted", "data": "ZW5j"},
                ],
                "tool_calls": [
                    {"id": "toolu_a", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                ]},
            {"role": "tool", "tool_call_id": "toolu_a", "content": "Error: dark"},
            {"role": "user", "content": "And?"},
        ],
        "max_completion_tokens": 2000,
        "temperature": 0.5,
        "stop": ["END"],
        "tools": [{"type": "function", "function":
            {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "answer", "schema": {"type": "object"}, "strict": true}},
        "reasoning_effort": "low",
        "user": "u1",
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(to_openai(&request), Ok(expected));
}

#[test]
fn the_conversations_id_is_told_to_nobody() {
    let named = with(&json!({"conversation_id": "c"}));
    assert_eq!(to_anthropic(&named), to_anthropic(&with(&json!({}))));
    assert_eq!(to_openai(&named), to_openai(&with(&json!({}))));
}

#[test]
fn anthropic_needs_a_bound_and_gets_one() {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(to_anthropic(&request).unwrap()["max_tokens"], 8_192);
}

#[test]
fn budgets_become_efforts() {
    for (tokens, effort) in [(4_095, "low"), (4_096, "medium"), (16_383, "medium"), (16_384, "high")] {
        let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
        assert_eq!(to_openai(&with(&thinking)).unwrap()["reasoning_effort"], effort, "{tokens}");
    }
}

#[test]
fn reasoning_of_earlier_turns_goes_to_servers_that_take_it() {
    let said = |content: Value| json!({"role": "assistant", "content": content});
    let user = json!({"role": "user", "content": "x"});
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let redacted = json!({"type": "redacted_thinking", "data": "ZW5j"});
    let text = json!({"type": "text", "text": "y"});
    let turns = json!([user, said(json!([thought, redacted, text])), user, said(json!([thought])), user]);
    let request = anthropic::read_request(with(&json!({"messages": turns})).to_string().as_bytes()).unwrap();
    let model = &Model::named("m");
    let written = |reasoning_details| -> Value {
        let target = openai::Target { model, max_tokens_field: "max_tokens", stream_usage: true, reasoning_details };
        serde_json::from_slice::<Value>(&openai::write_request(&request, target).unwrap()).unwrap()["messages"].take()
    };
    assert_eq!(written(false), json!([user, said(json!("y")), user, user]));
    let with_reasoning = written(true);
    assert_eq!(with_reasoning[1]["reasoning_details"].as_array().map(Vec::len), Some(2));
    assert_eq!(with_reasoning[3]["reasoning_details"].as_array().map(Vec::len), Some(1));
}

#[test]
fn models_that_cannot_reason_are_not_told_not_to() {
    let off = with(&json!({"thinking": {"type": "disabled"}}));
    for (reasons, effort) in [(true, json!("none")), (false, Value::Null)] {
        let model = Model { reasons, ..Model::named("m") };
        assert_eq!(to_openai_model(&off, &model).unwrap()["reasoning_effort"], effort);
        let request = anthropic::read_request(off.to_string().as_bytes()).unwrap();
        let written: Value = serde_json::from_slice(&gemini::write_request(&request, &model).unwrap()).unwrap();
        assert_eq!(written["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 0, reasons);
    }
}

#[test]
fn what_openai_alone_can_do_is_refused_by_its_path() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]});
    let assistant = |mut members: Value| {
        members["role"] = "assistant".into();
        json!({"messages": [{"role": "user", "content": "x"}, members, {"role": "user", "content": "y"}]})
    };
    let call =
        |function: Value| assistant(json!({"tool_calls": [{"id": "a", "type": "function", "function": function}]}));
    for (members, path) in [
        (json!({"foo": 1}), "foo"),
        (json!({"n": 2}), "n"),
        (json!({"seed": 1}), "seed"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"presence_penalty": 0.5}), "presence_penalty"),
        (json!({"frequency_penalty": -0.5}), "frequency_penalty"),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.type"),
        (json!({"reasoning_effort": "immense"}), "reasoning_effort"),
        (json!({"max_completion_tokens": 7}), "max_tokens"),
        (json!({"store": true}), "store"),
        (json!({"metadata": {"a": "b"}}), "metadata"),
        (json!({"logit_bias": {"1": 5}}), "logit_bias"),
        (json!({"service_tier": "flex"}), "service_tier"),
        (json!({"verbosity": "low"}), "verbosity"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"audio": {}}), "audio"),
        (json!({"prediction": {}}), "prediction"),
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"functions": []}), "functions"),
        (json!({"stream_options": {"include_obfuscation": true}}), "stream_options.include_obfuscation"),
        (json!({"stream_options": {"foo": true}}), "stream_options.foo"),
        (json!({"tools": [{"type": "custom", "custom": {"name": "x"}}]}), "tools[0].custom"),
        (json!({"tools": [{"type": "function", "function": {"name": "x", "foo": 1}}]}), "tools[0].function.foo"),
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
        (user(json!({"type": "file", "file": {"file_id": "f"}})), "messages[0].content[1].file"),
        (user(json!({"type": "input_audio", "input_audio": {}})), "messages[0].content[1].input_audio"),
        (user(json!({"type": "text", "text": "x", "foo": 1})), "messages[0].content[1].foo"),
        (user(json!({"type": "hologram"})), "messages[0].content[1].type"),
        (user(json!({"type": "text"})), "messages[0].content[1].text"),
        (user(json!({"type": "image_url", "image_url": {"url": "data:,x"}})), "messages[0].content[1].image_url.url"),
        (
            user(json!({"type": "image_url", "image_url": {"url": "https://a/", "detail": "low"}})),
            "messages[0].content[1].image_url.detail",
        ),
        (assistant(json!({"content": "x", "name": "n"})), "messages[1].name"),
        (assistant(json!({"content": "x", "function_call": {"name": "f"}})), "messages[1].function_call"),
        (assistant(json!({"content": "x", "reasoning_content": "hm"})), "messages[1].reasoning_content"),
        (assistant(json!({"content": null})), "messages[1].content"),
        (
            assistant(json!({"content": "x", "reasoning_details": [{"type": "reasoning.text", "text": "x"}]})),
            "messages[1].reasoning_details[0].signature",
        ),
        (
            assistant(json!({"content": "x", "reasoning_details": [{"type": "x"}]})),
            "messages[1].reasoning_details[0].type",
        ),
        (call(json!({"name": "f", "arguments": "{"})), "messages[1].tool_calls[0].function.arguments"),
        (call(json!({"name": "f", "arguments": {}})), "messages[1].tool_calls[0].function.arguments"),
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]}),
            "messages[1].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "y", "tool_call_id": "a"}]}),
            "messages[1]",
        ),
        (json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}), "messages[1]"),
        (json!({"messages": [{"role": "system", "content": "x"}]}), "messages"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
    ] {
        assert_eq!(to_anthropic(&with(&members)), Err(path.to_owned()), "{members}");
    }
}

#[test]
fn what_anthropic_alone_can_do_is_refused_by_its_path() {
    let user =
        |block: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, block]}]});
    for (members, path) in [
        (json!({"foo": 1}), "foo"),
        (json!({"container": "c"}), "container"),
        (json!({"mcp_servers": []}), "mcp_servers"),
        (json!({"inference_geo": "us"}), "inference_geo"),
        (json!({"top_k": 5}), "top_k"),
        (json!({"max_tokens": null}), "max_tokens"),
        (json!({"service_tier": "standard_only"}), "service_tier"),
        (json!({"metadata": {"foo": 1}}), "metadata.foo"),
        (json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens"),
        (json!({"thinking": {"type": "adaptive", "display": "omitted"}}), "thinking.display"),
        (json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}), "output_config.effort"),
        (json!({"output_config": {"task_budget": {}}}), "output_config.task_budget"),
        (json!({"output_format": {"type": "xml", "schema": {}}}), "output_format.type"),
        (
            json!({"output_format": {"type": "json_schema", "schema": {}},
                "output_config": {"format": {"type": "json_schema", "schema": {}}}}),
            "output_format",
        ),
        (json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type"),
        (json!({"tools": [{"name": "x"}]}), "tools[0].input_schema"),
        (json!({"tools": [{"name": "x", "input_schema": {}, "defer_loading": true}]}), "tools[0].defer_loading"),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (user(json!({"type": "document", "source": {}})), "messages[0].content[1].type"),
        (user(json!({"type": "text", "text": "x", "citations": [{}]})), "messages[0].content[1].citations"),
        (
            user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages[0].content[1].source.file_id",
        ),
        (user(json!({"type": "tool_result", "tool_use_id": "a"})), "messages[0].content[1]"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content":
            [{"type": "image", "source": {"type": "url", "url": "https://a/"}}]}]}]}),
            "messages[0].content[0].content[0]",
        ),
        (json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]}), "messages[1]"),
        (json!({"messages": [{"role": "system", "content": "x"}]}), "messages[0].role"),
    ] {
        assert_eq!(to_openai(&with(&members)), Err(path.to_owned()), "{members}");
    }
}
