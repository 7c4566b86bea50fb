//! Reads a chat request as strictly as OpenAI does.

use serde_json::{Map, Value};

use crate::upstream::{
    SCENARIO_FIELD,
    refused::{Refused, unknown_member},
    turn::{Turn, no_arguments},
};

/// The members of a request, as the official SDK for Python 3.54 lists them.
const MEMBERS: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// The members of messages of any role, as that SDK lists them; the last one is of its answers, which clients send back.
const MESSAGE_MEMBERS: [&str; 9] =
    ["audio", "content", "function_call", "name", "refusal", "role", "tool_call_id", "tool_calls", "annotations"];

/// How the names of models begin that do not reason, and that do not even know the word.
const UNREASONING: [&str; 3] = ["gpt-3.5", "gpt-4", "chatgpt-4"];

/// What the conversation asks for, or what OpenAI would not take.
pub(super) fn read(body: &Map<String, Value>, deployment: Option<&str>) -> Result<Turn, Refused> {
    if let Some(name) = unknown_member(body, &MEMBERS).filter(|name| *name != SCENARIO_FIELD) {
        return Err(Refused::field(name, format!("Unrecognized request argument supplied: {name}")));
    }
    let named = body.get("model").and_then(Value::as_str).or(deployment);
    let Some(model) = named else { return Err(Refused::whole("you must provide a model parameter")) };
    let is_unreasoning = UNREASONING.iter().any(|beginning| model.starts_with(beginning));
    if is_unreasoning && set(body, "reasoning_effort").is_some() {
        return Err(Refused::whole("Unrecognized request argument supplied: reasoning_effort"));
    }
    let streams = body.get("stream").is_some_and(|stream| stream == true);
    if !streams && body.get("stream_options").is_some_and(|options| !options.is_null()) {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refused::field("stream_options", message));
    }
    if set(body, "max_tokens").is_some() && set(body, "max_completion_tokens").is_some() {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Refused::field("max_tokens", message));
    }
    let Some(messages) = body.get("messages") else {
        return Err(Refused::field("messages", "Missing required parameter: 'messages'."));
    };
    let messages = messages.as_array().filter(|messages| !messages.is_empty()).ok_or_else(|| {
        Refused::field("messages", "Invalid 'messages': expected an array with minimum length 1 instead.")
    })?;
    let mut turn = Turn { model: model.to_owned(), streams, ..Turn::default() };
    check_order(messages)?;
    for (index, message) in messages.iter().enumerate() {
        read_message(&mut turn, message, &format!("messages[{index}]"))?;
    }
    read_tools(&mut turn, body)?;
    turn.schema = read_format(set(body, "response_format"))?;
    turn.max_tokens = set(body, "max_completion_tokens").or(set(body, "max_tokens")).and_then(Value::as_u64);
    turn.stop = match set(body, "stop") {
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(Value::Array(stops)) if stops.len() <= 4 => {
            stops.iter().filter_map(|stop| stop.as_str().map(str::to_owned)).collect()
        }
        Some(_) => return Err(Refused::field("stop", "Invalid 'stop'.")),
        None => Vec::new(),
    };
    turn.thinks = set(body, "reasoning_effort").is_some_and(|effort| effort != "none");
    Ok(turn)
}

/// A member that is there and not null.
fn set<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// Each call of a tool is answered at once, and nothing else is.
fn check_order(messages: &[Value]) -> Result<(), Refused> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(place) = open.iter().position(|open| *open == id) else {
                let message = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
                return Err(Refused::field(
                    format!("messages.[{index}].role"),
                    format!("Invalid parameter: {message}"),
                ));
            };
            open.remove(place);
            continue;
        }
        unanswered(&open)?;
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open = calls.filter_map(|call| call["id"].as_str()).collect();
    }
    unanswered(&open)
}

fn unanswered(open: &[&str]) -> Result<(), Refused> {
    if open.is_empty() {
        return Ok(());
    }
    let rule = "An assistant message with 'tool_calls' must be followed by tool messages responding to each";
    Err(Refused::field("messages", format!("{rule} 'tool_call_id'. Without a response: {}", open.join(", "))))
}

fn read_message(turn: &mut Turn, message: &Value, at: &str) -> Result<(), Refused> {
    if let Some(name) = message.as_object().and_then(|members| unknown_member(members, &MESSAGE_MEMBERS)) {
        return Err(Refused::field(format!("{at}.{name}"), format!("Unknown parameter: '{at}.{name}'.")));
    }
    let role = message["role"].as_str().unwrap_or_default();
    if !["developer", "system", "user", "assistant", "tool", "function"].contains(&role) {
        return Err(Refused::field(format!("{at}.role"), format!("Invalid value: '{role}'.")));
    }
    let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, call) in calls.iter().enumerate() {
        let whole = call["id"].is_string() && call["type"] == "function" && call["function"]["name"].is_string();
        if !whole || !call["function"]["arguments"].is_string() {
            return Err(Refused::field(format!("{at}.tool_calls[{index}]"), "Invalid tool call."));
        }
    }
    let content = &message["content"];
    if content.is_null() && (role != "assistant" || (calls.is_empty() && message["refusal"].is_null())) {
        let message = "Invalid value for 'content': expected a string, got null.";
        return Err(Refused::field(format!("{at}.content"), message));
    }
    let text = read_content(content, role, &format!("{at}.content"))?;
    if role == "tool" {
        turn.results.push(text);
        return Ok(());
    }
    turn.results.clear();
    if role == "user" {
        turn.user_text = text;
    }
    Ok(())
}

/// The text of a message. Pictures, sounds and files are for users only.
fn read_content(content: &Value, role: &str, at: &str) -> Result<String, Refused> {
    let Some(parts) = content.as_array() else {
        let plain = content.is_null() || content.is_string();
        return if plain {
            Ok(content.as_str().unwrap_or_default().to_owned())
        } else {
            Err(Refused::field(at, "Invalid type for 'content': expected a string or an array."))
        };
    };
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        let well = match (part["type"].as_str().unwrap_or_default(), role) {
            ("text", _) => part["text"].as_str().map(|said| text.push_str(said)).is_some(),
            ("refusal", "assistant") => part["refusal"].is_string(),
            ("image_url", "user") => part["image_url"]["url"].as_str().is_some_and(is_picture),
            ("input_audio", "user") => part["input_audio"]["data"].is_string(),
            ("file", "user") => part["file"].is_object(),
            _ => false,
        };
        if !well {
            let kind = &part["type"];
            return Err(Refused::field(format!("{at}[{index}]"), format!("Invalid content part {kind} of {role}.")));
        }
    }
    Ok(text)
}

fn is_picture(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://") || url.starts_with("data:image/")
}

fn read_tools(turn: &mut Turn, body: &Map<String, Value>) -> Result<(), Refused> {
    let tools = set(body, "tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = format!("tools[{index}]");
        match tool["type"].as_str() {
            Some("function") => {}
            Some("custom") => continue,
            _ => return Err(Refused::field(format!("{at}.type"), "Invalid type of tool.")),
        }
        let Some(name) = tool["function"]["name"].as_str() else {
            return Err(Refused::field(format!("{at}.function.name"), "Missing required parameter."));
        };
        let schema = tool["function"].get("parameters").cloned().unwrap_or_else(no_arguments);
        turn.tools.push((name.to_owned(), schema));
    }
    let choice = set(body, "tool_choice");
    if choice.is_some() && turn.tools.is_empty() && tools.is_none_or(Vec::is_empty) {
        let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(Refused::field("tool_choice", message));
    }
    match choice {
        Some(Value::String(choice)) if choice == "none" => turn.tools.clear(),
        Some(Value::String(choice)) => turn.must_call = choice == "required",
        Some(choice) => {
            let name = choice["function"]["name"].as_str().unwrap_or_default();
            turn.tools.retain(|(tool, _)| tool == name);
            turn.must_call = true;
        }
        None => {}
    }
    if turn.must_call && turn.tools.is_empty() {
        return Err(Refused::field("tool_choice", "Tool choice not found in 'tools' parameter."));
    }
    Ok(())
}

fn read_format(format: Option<&Value>) -> Result<Option<Value>, Refused> {
    let Some(format) = format else { return Ok(None) };
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(no_arguments())),
        Some("json_schema") => {
            let (name, schema) = (&format["json_schema"]["name"], &format["json_schema"]["schema"]);
            if !name.is_string() {
                let message = "Missing required parameter: 'response_format.json_schema.name'.";
                return Err(Refused::field("response_format.json_schema.name", message));
            }
            if format["json_schema"]["strict"] == true && schema["additionalProperties"] != false {
                let message = "In strict mode 'additionalProperties' is required to be supplied and to be false.";
                return Err(Refused::field("response_format", message));
            }
            Ok(Some(schema.clone()))
        }
        _ => Err(Refused::field("response_format.type", "Invalid value of 'response_format.type'.")),
    }
}
