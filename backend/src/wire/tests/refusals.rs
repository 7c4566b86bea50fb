//! Which path a client is told, whichever format its request was to be written in: that of its own body.

use serde_json::{Value, json};

use super::requests::path;
use crate::{
    ports::Inexpressible,
    wire::{Model, anthropic, family::Family, gemini, neutral::Request, openai},
};

fn write(request: &Request, family: Family) -> Result<Vec<u8>, Inexpressible> {
    let model = &Model::named("m");
    match family {
        Family::OpenAi => {
            let target = openai::Target {
                model,
                max_tokens_field: "max_completion_tokens",
                stream_usage: true,
                reasoning_details: true,
            };
            openai::write_request(request, target)
        }
        Family::Anthropic => anthropic::write_request(request, model),
        Family::Gemini => gemini::write_request(request, model),
    }
}

/// The path by which a request with these members is refused, after it was read.
fn refused(read: fn(&[u8]) -> Result<Request, Inexpressible>, family: Family, members: &Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let request = read(body.to_string().as_bytes()).expect("a request that can be read");
    path(write(&request, family).expect_err(&body.to_string()))
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[test]
fn clients_of_openais_api_are_told_their_own_paths() {
    let said = |content: Value| {
        json!({"messages": [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [text("b"), text("c")]},
            {"role": "user", "content": "d"},
            {"role": "user", "content": content},
        ]})
    };
    let image = |url: &str, detail: &str| json!({"type": "image_url", "image_url": {"url": url, "detail": detail}});
    let assistant = |mut message: Value| {
        message["role"] = "assistant".into();
        json!({"messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c"},
            message,
            {"role": "user", "content": "d"},
        ]})
    };
    let thought = |detail: Value| {
        let proven = json!({"type": "reasoning.text", "text": "x", "signature": "y"});
        assistant(json!({"content": [text("")], "reasoning_details": [proven, detail]}))
    };
    let unasked = json!({"messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "b"},
        {"role": "tool", "tool_call_id": "2", "content": "c"},
        {"role": "user", "content": "d"},
    ]});
    let last = json!({"messages": [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]});
    for (family, members, path) in [
        (Family::Anthropic, json!({"n": 2}), "n"),
        (Family::Anthropic, json!({"temperature": 1.5}), "temperature"),
        (Family::Anthropic, json!({"reasoning_effort": "immense"}), "reasoning_effort"),
        (Family::Anthropic, json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (Family::Anthropic, json!({"messages": []}), "messages"),
        (Family::Anthropic, last, "messages[3]"),
        (
            Family::Anthropic,
            said(json!([text(""), text("x"), image("https://a/", "low")])),
            "messages[3].content[2].image_url.detail",
        ),
        (
            Family::Anthropic,
            thought(json!({"type": "reasoning.text", "text": "x"})),
            "messages[3].reasoning_details[1].signature",
        ),
        (Family::Gemini, json!({"stop": ["1", "2", "3", "4", "5", "6"]}), "stop"),
        (Family::Gemini, json!({"max_tokens": 1_u64 << 31}), "max_tokens"),
        (
            Family::Gemini,
            json!({"max_tokens": 1_u64 << 31, "max_completion_tokens": 1_u64 << 31}),
            "max_completion_tokens",
        ),
        (Family::Gemini, json!({"n": u32::MAX}), "n"),
        (Family::Gemini, json!({"reasoning_effort": "xhigh"}), "reasoning_effort"),
        (Family::Gemini, json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (Family::Gemini, said(json!([text(""), image("http://a/", "auto")])), "messages[3].content[1].image_url.url"),
        (Family::Gemini, said(json!([image("https://a/", "original")])), "messages[3].content[0].image_url.detail"),
        (
            Family::Gemini,
            said(json!([image("https://a/", "auto"), image("https://a/", "low")])),
            "messages[3].content[1].image_url.detail",
        ),
        (
            Family::Gemini,
            thought(json!({"type": "reasoning.encrypted", "data": "x"})),
            "messages[3].reasoning_details[1]",
        ),
        (Family::Gemini, unasked, "messages[3].tool_call_id"),
    ] {
        assert_eq!(refused(openai::read_request, family, &members), path, "{members}");
    }
}

#[test]
fn clients_of_anthropics_api_are_told_their_own_paths() {
    let image = |url: &str| json!({"type": "image", "source": {"type": "url", "url": url}});
    let conversation = |assistant: Value, user: Value| {
        json!({
            "system": [text("a"), text("b")],
            "messages": [
                {"role": "user", "content": "c"},
                {"role": "user", "content": "d"},
                {"role": "assistant", "content": assistant},
                {"role": "user", "content": user},
            ],
        })
    };
    let call = json!([text(""), {"type": "tool_use", "id": "1", "name": "f", "input": {}}]);
    let result =
        |id: &str, content: Value| json!([{"type": "tool_result", "tool_use_id": id, "content": content}, text("e")]);
    let last = json!({"system": "a", "messages": [
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": [text("c")]},
    ]});
    for (family, members, path) in [
        (Family::OpenAi, json!({"top_k": 5}), "top_k"),
        (Family::OpenAi, last, "messages[1]"),
        (
            Family::OpenAi,
            conversation(call.clone(), result("1", json!([text(""), text("x"), image("https://a/")]))),
            "messages[3].content[0].content[2]",
        ),
        (Family::Gemini, json!({"stop_sequences": ["1", "2", "3", "4", "5", "6"]}), "stop_sequences"),
        (Family::Gemini, json!({"max_tokens": 1_u64 << 31}), "max_tokens"),
        (Family::Gemini, json!({"top_k": u64::MAX}), "top_k"),
        (
            Family::Gemini,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1_u64 << 31}}),
            "thinking.budget_tokens",
        ),
        (Family::Gemini, json!({"output_config": {"effort": "max"}}), "output_config.effort"),
        (
            Family::Gemini,
            json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
            "tool_choice.disable_parallel_tool_use",
        ),
        (
            Family::Gemini,
            conversation(json!("x"), json!([text(""), image("http://a/")])),
            "messages[3].content[1].source.url",
        ),
        (
            Family::Gemini,
            conversation(json!([text(""), {"type": "redacted_thinking", "data": "x"}]), json!("e")),
            "messages[2].content[1]",
        ),
        (Family::Gemini, conversation(call.clone(), result("2", json!("x"))), "messages[3].content[0].tool_use_id"),
        (
            Family::Gemini,
            conversation(call, result("1", json!([text(""), text("x"), image("https://a/")]))),
            "messages[3].content[0].content[2].source.url",
        ),
    ] {
        assert_eq!(refused(anthropic::read_request, family, &members), path, "{members}");
    }
}
