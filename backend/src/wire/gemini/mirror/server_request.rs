//! Reads requests as a server does.

use serde_json::Value;

use super::super::contents::UNSIGNED;
use crate::wire::neutral::{
    AssistantPart, Format, Image, Reasoning, Request, Tool, ToolCall, ToolChoice, Turn, UserPart,
};

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn has_only(value: &Value, names: &[&str]) {
    for name in value.as_object().expect("an object").keys() {
        assert!(names.contains(&name.as_str()), "`{name}` is none of the API's");
    }
}

/// What a request means. It panics on what the API does not know.
pub(crate) fn read_request(body: &[u8]) -> Request {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    has_only(&body, &["systemInstruction", "contents", "tools", "toolConfig", "generationConfig"]);
    let config = &body["generationConfig"];
    let mode = &body["toolConfig"]["functionCallingConfig"];
    let number = |name: &str| config[name].as_number().cloned();
    let detail = match config["mediaResolution"].as_str() {
        None => None,
        Some("MEDIA_RESOLUTION_LOW") => Some("low".to_owned()),
        Some("MEDIA_RESOLUTION_HIGH") => Some("high".to_owned()),
        Some(other) => panic!("unknown resolution {other}"),
    };
    Request {
        system: list(&body["systemInstruction"]["parts"]).iter().map(|part| text(&part["text"])).collect(),
        turns: list(&body["contents"]).iter().map(|content| turn(content, detail.as_ref())).collect(),
        tools: list(&body["tools"])
            .iter()
            .flat_map(|tools| list(&tools["functionDeclarations"]))
            .map(|tool| Tool {
                name: text(&tool["name"]),
                description: tool.get("description").map(text),
                parameters: tool.get("parametersJsonSchema").cloned(),
                strict: (mode["mode"] == "VALIDATED").then_some(true),
            })
            .collect(),
        tool_choice: match mode["mode"].as_str() {
            None | Some("VALIDATED") => None,
            Some("AUTO") => Some(ToolChoice::Auto),
            Some("NONE") => Some(ToolChoice::None),
            Some("ANY") => Some(match list(&mode["allowedFunctionNames"]) {
                [] => ToolChoice::Required,
                [name] => ToolChoice::Named(text(name)),
                _ => panic!("several names"),
            }),
            Some(other) => panic!("unknown mode {other}"),
        },
        max_tokens: config["maxOutputTokens"].as_u64(),
        temperature: number("temperature"),
        top_p: number("topP"),
        top_k: config["topK"].as_u64(),
        stop: list(&config["stopSequences"]).iter().map(text).collect(),
        seed: config["seed"].as_i64(),
        presence_penalty: number("presencePenalty"),
        frequency_penalty: number("frequencyPenalty"),
        choices: config["candidateCount"].as_u64().map(|count| count.try_into().expect("few")),
        logprobs: config["responseLogprobs"].as_bool(),
        top_logprobs: config["logprobs"].as_u64().map(|count| count.try_into().expect("few")),
        format: (config["responseMimeType"] == "application/json").then(|| match config.get("responseJsonSchema") {
            None => Format::Json,
            Some(schema) => Format::Schema { name: None, description: None, schema: schema.clone(), strict: None },
        }),
        reasoning: config.get("thinkingConfig").map(reasoning),
        ..Request::default()
    }
}

fn reasoning(config: &Value) -> Reasoning {
    has_only(config, &["includeThoughts", "thinkingBudget", "thinkingLevel"]);
    let reasoning = match (config["thinkingBudget"].as_i64(), config["thinkingLevel"].as_str()) {
        (Some(0), None) => Reasoning::Off,
        (Some(-1), None) => Reasoning::Adaptive,
        (Some(tokens), None) => Reasoning::Budget(tokens.try_into().expect("a budget")),
        (None, Some(level)) => Reasoning::Effort(level.to_owned()),
        _ => panic!("one of budget and level must be said: {config}"),
    };
    assert_eq!(config["includeThoughts"] == true, reasoning != Reasoning::Off);
    reasoning
}

fn turn(content: &Value, detail: Option<&String>) -> Turn {
    has_only(content, &["role", "parts"]);
    let parts = list(&content["parts"]);
    match content["role"].as_str() {
        Some("user") => Turn::User(parts.iter().map(|part| said(part, detail)).collect()),
        Some("model") => Turn::Assistant(parts.iter().map(assistant).collect()),
        other => panic!("unknown role {other:?}"),
    }
}

fn said(part: &Value, detail: Option<&String>) -> UserPart {
    let detail = detail.cloned();
    has_only(part, &["text", "inlineData", "fileData", "functionResponse"]);
    assert_eq!(part.as_object().map(serde_json::Map::len), Some(1), "a part says one thing: {part}");
    if let Some(data) = part.get("inlineData") {
        UserPart::Image(Image::Data { media_type: text(&data["mimeType"]), data: text(&data["data"]), detail })
    } else if let Some(file) = part.get("fileData") {
        UserPart::Image(Image::Url { url: text(&file["fileUri"]), detail })
    } else if let Some(result) = part.get("functionResponse") {
        let is_error = result["response"].get("error").is_some();
        let output = &result["response"][if is_error { "error" } else { "output" }];
        let texts = output.as_str().map_or_else(|| list(output).iter().map(text).collect(), |one| vec![one.to_owned()]);
        let images = list(&result["parts"]).iter().map(|part| said(part, detail.as_ref()));
        let content = texts.into_iter().map(UserPart::Text).chain(images).collect();
        assert!(result["name"].is_string());
        UserPart::ToolResult { id: text(&result["id"]), content, is_error }
    } else {
        UserPart::Text(text(&part["text"]))
    }
}

fn assistant(part: &Value) -> AssistantPart {
    has_only(part, &["text", "thought", "thoughtSignature", "functionCall"]);
    let signature = part.get("thoughtSignature").map(text).filter(|signature| signature != UNSIGNED);
    if let Some(call) = part.get("functionCall") {
        let (id, name) = (text(&call["id"]), text(&call["name"]));
        AssistantPart::ToolCall(ToolCall { id, name, arguments: call["args"].clone(), signature })
    } else if part["thought"] == true {
        AssistantPart::Reasoning { text: text(&part["text"]), signature }
    } else {
        AssistantPart::Text(text(&part["text"]))
    }
}
