//! Reads a request as strictly as Gemini does, in the documented spelling of its members.

use serde_json::{Map, Value};

use super::{contents, only, unknown_name};
use crate::upstream::{
    SCENARIO_FIELD,
    refused::{Refused, unknown_member},
    turn::{Turn, no_arguments},
};

const MEMBERS: [&str; 10] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// <https://ai.google.dev/api/generate-content#generationconfig>
const CONFIG_MEMBERS: [&str; 20] = [
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
];

/// Members of a `Schema`, the part of `OpenAPI`'s that Gemini has: <https://ai.google.dev/api/caching#Schema>
const SCHEMA_MEMBERS: [&str; 21] = [
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
];

/// What the conversation asks for, or what Gemini would not take.
pub(super) fn read(body: &Map<String, Value>, model: &str, streams: bool) -> Result<Turn, Refused> {
    if let Some(name) = unknown_member(body, &MEMBERS).filter(|name| *name != SCENARIO_FIELD) {
        return Err(unknown_name(name, ""));
    }
    let mut turn = Turn { model: model.to_owned(), streams, ..Turn::default() };
    if let Some(system) = body.get("systemInstruction") {
        contents::check_instruction(system)?;
    }
    let read = contents::read(body.get("contents").unwrap_or(&Value::Null), model)?;
    (turn.user_text, turn.results) = (read.user_text, read.results);
    read_config(&mut turn, body.get("generationConfig").unwrap_or(&Value::Null))?;
    read_tools(&mut turn, body)?;
    Ok(turn)
}

fn read_config(turn: &mut Turn, config: &Value) -> Result<(), Refused> {
    let at = "generation_config";
    let known: Vec<&str> = CONFIG_MEMBERS.into_iter().chain(["topP"]).collect();
    only(config, &known, at)?;
    let (schema, json_schema) = (&config["responseSchema"], &config["responseJsonSchema"]);
    if !schema.is_null() || !json_schema.is_null() {
        if config["responseMimeType"] != "application/json" {
            let message = "Function calling config or response schema is set without mime type application/json.";
            return Err(Refused::field(format!("{at}.response_mime_type"), message));
        }
        if !schema.is_null() && !json_schema.is_null() {
            return Err(Refused::whole("response_schema and response_json_schema must not be set at once."));
        }
        check_schema(schema, &format!("{at}.response_schema"))?;
        turn.schema = Some(if schema.is_null() { json_schema } else { schema }.clone());
    } else if config["responseMimeType"] == "application/json" {
        turn.schema = Some(no_arguments());
    }
    let numbers = ["temperature", "topP", "topK", "maxOutputTokens", "candidateCount", "seed"];
    if let Some(name) = numbers.into_iter().find(|name| !config[*name].is_null() && !config[*name].is_number()) {
        let message = format!("Invalid value at '{at}.{name}' (TYPE_FLOAT), {}", config[name]);
        return Err(Refused::field(format!("{at}.{name}"), message));
    }
    turn.max_tokens = config["maxOutputTokens"].as_u64();
    let stops = config["stopSequences"].as_array().into_iter().flatten();
    turn.stop = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    if turn.stop.len() > 5 {
        return Err(Refused::field(format!("{at}.stop_sequences"), "At most 5 stop sequences are allowed."));
    }
    let thinking = &config["thinkingConfig"];
    only(thinking, &["includeThoughts", "thinkingBudget", "thinkingLevel"], &format!("{at}.thinking_config"))?;
    if !thinking["thinkingBudget"].is_null() && !thinking["thinkingLevel"].is_null() {
        return Err(Refused::whole("You can only set only one of thinking budget and thinking level."));
    }
    check_thinking(&turn.model, thinking)?;
    turn.thinks = thinking["includeThoughts"] == true;
    Ok(())
}

/// Levels came with generation 3; before it, models of the size Pro always think:
/// <https://ai.google.dev/gemini-api/docs/thinking>.
fn check_thinking(model: &str, thinking: &Value) -> Result<(), Refused> {
    let is_old = ["gemini-1", "gemini-2"].iter().any(|beginning| model.starts_with(beginning));
    if is_old && !thinking["thinkingLevel"].is_null() {
        return Err(Refused::whole("Thinking level is not supported for this model."));
    }
    if model.starts_with("gemini-2.5-pro") && thinking["thinkingBudget"] == 0 {
        return Err(Refused::whole("Budget 0 is invalid. This model only works in thinking mode."));
    }
    Ok(())
}

fn read_tools(turn: &mut Turn, body: &Map<String, Value>) -> Result<(), Refused> {
    let tools = body.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = format!("tools[{index}]");
        let known =
            ["functionDeclarations", "googleSearch", "codeExecution", "urlContext", "googleMaps", "computerUse"];
        only(tool, &known, &at)?;
        for (index, function) in tool["functionDeclarations"].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}.function_declarations[{index}]");
            let known = [
                "name",
                "description",
                "behavior",
                "parameters",
                "parametersJsonSchema",
                "response",
                "responseJsonSchema",
            ];
            only(function, &known, &at)?;
            let name = function["name"].as_str().unwrap_or_default();
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
            if !begins || name.len() > 64 || !name.chars().all(allowed) {
                return Err(Refused::field(format!("{at}.name"), "Invalid function name."));
            }
            check_schema(&function["parameters"], &format!("{at}.parameters"))?;
            let schema = function.get("parametersJsonSchema").or(function.get("parameters"));
            turn.tools.push((name.to_owned(), schema.cloned().unwrap_or_else(no_arguments)));
        }
    }
    let config = body.get("toolConfig").map_or(&Value::Null, |config| &config["functionCallingConfig"]);
    only(config, &["mode", "allowedFunctionNames"], "tool_config.function_calling_config")?;
    let allowed = config["allowedFunctionNames"].as_array();
    match config["mode"].as_str() {
        None | Some("AUTO" | "MODE_UNSPECIFIED" | "VALIDATED") => {}
        Some("NONE") => turn.tools.clear(),
        Some("ANY") => {
            turn.must_call = true;
            if let Some(allowed) = allowed {
                turn.tools.retain(|(name, _)| allowed.iter().any(|allowed| allowed == name));
            }
        }
        Some(mode) => {
            let at = "tool_config.function_calling_config.mode";
            return Err(Refused::field(at, format!("Invalid value at '{at}', \"{mode}\"")));
        }
    }
    if allowed.is_some() && !turn.must_call {
        return Err(Refused::whole("allowed_function_names should only be set when the function calling mode is ANY."));
    }
    if turn.must_call && turn.tools.is_empty() {
        return Err(Refused::whole("Function calling config is set without function_declarations."));
    }
    Ok(())
}

/// A schema in Gemini's own dialect, which knows far less than JSON Schema.
fn check_schema(schema: &Value, at: &str) -> Result<(), Refused> {
    let known: Vec<&str> = SCHEMA_MEMBERS.into_iter().chain(["type"]).collect();
    only(schema, &known, at)?;
    if schema["type"].is_array() {
        return Err(Refused::field(at, format!("Proto field is not repeating, cannot start list at '{at}.type'.")));
    }
    check_optional(&schema["items"], &format!("{at}.items"))?;
    for (index, one) in schema["anyOf"].as_array().into_iter().flatten().enumerate() {
        check_schema(one, &format!("{at}.any_of[{index}]"))?;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        check_schema(property, &format!("{at}.properties[{name}]"))?;
    }
    Ok(())
}

fn check_optional(schema: &Value, at: &str) -> Result<(), Refused> {
    if schema.is_null() { Ok(()) } else { check_schema(schema, at) }
}
