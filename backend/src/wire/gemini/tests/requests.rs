use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::mirror, arbitrary, write_request};
use crate::{
    ports::Inexpressible,
    wire::Model,
    wire::neutral::{AssistantPart, Format, Image, Reasoning, Request, Tool, ToolCall, ToolChoice, Turn, UserPart},
};

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(request in arbitrary::request()) {
        let body = write_request(&request).unwrap();
        let mut expected = request;
        let turns = expected.turns.iter_mut();
        let parts = turns.flat_map(|turn| if let Turn::Assistant(parts) = turn { parts.as_mut_slice() } else { &mut [] });
        for part in parts {
            // Another provider's, perhaps.
            if let AssistantPart::Reasoning { signature, .. } = part {
                *signature = None;
            }
        }
        prop_assert_eq!(mirror::read_request(&body), expected);
    }
}

fn written(request: &Request) -> Value {
    serde_json::from_slice(&write_request(request).unwrap()).unwrap()
}

fn said(parts: Vec<UserPart>) -> Request {
    Request { turns: vec![Turn::User(parts)], ..Request::default() }
}

fn text(text: &str) -> UserPart {
    UserPart::Text(text.to_owned())
}

fn image(url: &str, detail: Option<&str>) -> UserPart {
    UserPart::Image(Image::Url { url: url.to_owned(), detail: detail.map(str::to_owned) })
}

fn call(id: &str, arguments: Value) -> AssistantPart {
    let (id, name) = (id.to_owned(), "weather".to_owned());
    AssistantPart::ToolCall(ToolCall { id, name, arguments, signature: Some("c2ln".to_owned()) })
}

fn result(id: &str, content: Vec<UserPart>) -> UserPart {
    UserPart::ToolResult { id: id.to_owned(), content, is_error: false }
}

#[test]
fn a_conversation_with_a_call_reads_as_the_documentation_has_it() {
    let request = Request {
        system: vec!["Be brief.".to_owned()],
        turns: vec![
            Turn::User(vec![text("Weather in Paris?")]),
            Turn::Assistant(vec![call("a1", json!({ "city": "Paris" }))]),
            Turn::User(vec![result("a1", vec![text("15C")])]),
        ],
        tools: vec![Tool {
            name: "weather".to_owned(),
            description: Some("Tells the weather".to_owned()),
            parameters: Some(json!({ "type": "object" })),
            strict: None,
        }],
        tool_choice: Some(ToolChoice::Named("weather".to_owned())),
        reasoning: Some(Reasoning::Effort("low".to_owned())),
        user: Some("somebody".to_owned()),
        ..Request::default()
    };
    assert_eq!(
        written(&request),
        json!({
            "systemInstruction": { "parts": [{ "text": "Be brief." }] },
            "contents": [
                { "role": "user", "parts": [{ "text": "Weather in Paris?" }] },
                { "role": "model", "parts": [{
                    "functionCall": { "id": "a1", "name": "weather", "args": { "city": "Paris" } },
                    "thoughtSignature": "c2ln",
                }] },
                { "role": "user", "parts": [{
                    "functionResponse": { "id": "a1", "name": "weather", "response": { "output": "15C" } },
                }] },
            ],
            "tools": [{ "functionDeclarations": [{
                "name": "weather",
                "description": "Tells the weather",
                "parametersJsonSchema": { "type": "object" },
            }] }],
            "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["weather"] } },
            "generationConfig": { "thinkingConfig": { "includeThoughts": true, "thinkingLevel": "low" } },
        })
    );
}

#[test]
fn efforts_are_levels_or_budgets_by_the_models_generation() {
    let thinking = |model: &str, effort: &str| {
        let reasoning = Some(Reasoning::Effort(effort.to_owned()));
        let request = Request { reasoning, ..said(vec![text("x")]) };
        let body = super::super::write_request(&request, &Model::named(model)).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["generationConfig"]["thinkingConfig"].clone()
    };
    for (effort, budget) in [("minimal", 1_024), ("low", 1_024), ("medium", 8_192), ("high", 24_576)] {
        assert_eq!(
            thinking("gemini-2.5-flash-lite", effort),
            json!({ "includeThoughts": true, "thinkingBudget": budget })
        );
        assert_eq!(thinking("gemini-3.8-flash", effort), json!({ "includeThoughts": true, "thinkingLevel": effort }));
    }
}

#[test]
fn files_tell_their_type_where_their_name_does() {
    let parts = [
        ("https://a.example/b/c.JPG?size=1.png", Some("image/jpeg")),
        ("HTTPS://a.example/c.webp", Some("image/webp")),
        ("https://a.png/c", None),
        ("https://a.example/c.gif", None),
    ];
    for (url, media_type) in parts {
        let body = written(&said(vec![image(url, Some("auto"))]));
        let file = &body["contents"][0]["parts"][0]["fileData"];
        assert_eq!((file["fileUri"].as_str(), file["mimeType"].as_str()), (Some(url), media_type));
        assert_eq!(body["generationConfig"], Value::Null);
    }
}

#[test]
fn a_schemas_description_goes_into_the_schema() {
    let request = |description: &str, schema: Value| Request {
        format: Some(Format::Schema {
            name: Some("weather".to_owned()),
            description: Some(description.to_owned()),
            schema,
            strict: Some(true),
        }),
        ..Request::default()
    };
    let config = &written(&request("A day", json!({ "type": "object" })))["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseJsonSchema"], json!({ "type": "object", "description": "A day" }));
    assert!(write_request(&request("A day", json!({ "description": "A day" }))).is_ok());
    let refused = write_request(&request("A day", json!({ "description": "A week" }))).unwrap_err();
    assert_eq!(refused.param, "response_format.json_schema.description");
}

#[test]
fn one_strict_tool_has_all_calls_validated() {
    let tool = |strict| Tool { name: "a".to_owned(), description: None, parameters: None, strict };
    let request =
        |choice| Request { tools: vec![tool(None), tool(Some(true))], tool_choice: choice, ..Request::default() };
    for (choice, mode) in
        [(None, "VALIDATED"), (Some(ToolChoice::Auto), "VALIDATED"), (Some(ToolChoice::Required), "ANY")]
    {
        assert_eq!(written(&request(choice))["toolConfig"]["functionCallingConfig"]["mode"], mode);
    }
}

#[test]
fn what_has_no_words_is_refused() {
    let turns = |turns: Vec<Turn>| Request { turns, ..Request::default() };
    let nothing = Request::default;
    // Paths of parts are those of the client's body, which none of these was read from.
    let cases: [(Request, &str); 12] = [
        (Request { parallel_tool_calls: Some(false), ..nothing() }, "parallel_tool_calls"),
        (Request { stop: vec!["x".to_owned(); 6], ..nothing() }, "stop"),
        (Request { seed: Some(1 << 31), ..nothing() }, "seed"),
        (Request { max_tokens: Some(1 << 31), ..nothing() }, "max_tokens"),
        (Request { top_k: Some(u64::MAX), ..nothing() }, "top_k"),
        (Request { choices: Some(u32::MAX), ..nothing() }, "n"),
        (Request { top_logprobs: Some(u32::MAX), ..nothing() }, "top_logprobs"),
        (Request { reasoning: Some(Reasoning::Effort("xhigh".to_owned())), ..nothing() }, "reasoning_effort"),
        (Request { reasoning: Some(Reasoning::Budget(1 << 31)), ..nothing() }, "thinking.budget_tokens"),
        (said(vec![image("gs://a.example/b", None)]), "messages"),
        (said(vec![result("a", vec![])]), "messages"),
        (
            turns(vec![
                Turn::Assistant(vec![call("a", json!({}))]),
                Turn::User(vec![result("a", vec![result("a", vec![])])]),
            ]),
            "messages",
        ),
    ];
    for (request, path) in cases {
        let Inexpressible { param, message } = write_request(&request).unwrap_err();
        assert_eq!(param, path);
        assert!(message.ends_with('.') && !message.contains("a.example"), "{message}");
    }
}

#[test]
fn signatures_are_those_of_calls_and_the_first_has_one() {
    let unsigned = |part| match part {
        AssistantPart::ToolCall(call) => AssistantPart::ToolCall(ToolCall { signature: None, ..call }),
        other => other,
    };
    let parts = vec![
        AssistantPart::Reasoning { text: "hm".to_owned(), signature: Some("another's".to_owned()) },
        unsigned(call("a", json!({}))),
        unsigned(call("b", json!({}))),
    ];
    let body = written(&Request { turns: vec![Turn::Assistant(parts)], ..Request::default() });
    let parts = &body["contents"][0]["parts"];
    assert_eq!(parts[0], json!({ "text": "hm", "thought": true }));
    assert_eq!(parts[1]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[2], json!({ "functionCall": { "id": "b", "name": "weather", "args": {} } }));
}
