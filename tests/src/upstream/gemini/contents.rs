//! The contents of a request and the parts of which they are made.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::only;
use crate::upstream::refused::Refused;

/// What an answer depends on.
pub(super) struct Conversation {
    /// Text of the last content that the user wrote.
    pub(super) user_text: String,
    /// Results of tools with which it ends.
    pub(super) results: Vec<String>,
}

/// What a part may hold; exactly one of these.
const DATA: [&str; 7] =
    ["text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"];

/// Whether a model demands its signatures back: generation 3 and later do.
pub(super) fn wants_signatures(model: &str) -> bool {
    let generation = model.strip_prefix("gemini-").and_then(|rest| rest.chars().next()).and_then(|c| c.to_digit(10));
    generation.is_some_and(|generation| generation >= 3)
}

/// The instruction: text alone.
pub(super) fn check_instruction(content: &Value) -> Result<(), Refused> {
    only(content, &["parts", "role"], "system_instruction")?;
    for (index, part) in content["parts"].as_array().into_iter().flatten().enumerate() {
        if !part["text"].is_string() {
            return Err(Refused::field(format!("system_instruction.parts[{index}]"), "Only text is allowed here."));
        }
    }
    Ok(())
}

/// Reads the contents: of user and model, as many responses of functions as calls, and those at once.
pub(super) fn read(contents: &Value, model: &str) -> Result<Conversation, Refused> {
    let contents = contents.as_array().filter(|contents| !contents.is_empty());
    let Some(contents) = contents else {
        return Err(Refused::field("contents", "* GenerateContentRequest.contents: contents is not specified\n"));
    };
    let mut conversation = Conversation { user_text: String::new(), results: Vec::new() };
    let mut calls = 0;
    for (index, content) in contents.iter().enumerate() {
        let at = format!("contents[{index}]");
        only(content, &["parts", "role"], &at)?;
        let by_user = match content["role"].as_str() {
            None | Some("user" | "function") => true,
            Some("model") => false,
            Some(_) => return Err(Refused::field("contents", "Please use a valid role: user, model.")),
        };
        let parts = content["parts"].as_array().filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| Refused::field(format!("{at}.parts"), "contents.parts must not be empty."))?;
        let (mut text, mut results) = (String::new(), Vec::new());
        let before = std::mem::take(&mut calls);
        for (index, part) in parts.iter().enumerate() {
            let at = format!("{at}.parts[{index}]");
            check_part(part, by_user, &at)?;
            text.push_str(part["text"].as_str().unwrap_or_default());
            calls += usize::from(part.get("functionCall").is_some());
            results.extend(part.get("functionResponse").map(|result| result_text(&result["response"])));
        }
        if results.len() != before {
            let message = "Please ensure that the number of function response parts is equal to the number of function \
                           call parts of the function call turn.";
            return Err(Refused::whole(message));
        }
        if by_user {
            if results.is_empty() {
                conversation.user_text = text;
            }
            conversation.results = results;
        } else {
            conversation.results.clear();
        }
    }
    if wants_signatures(model) {
        check_signatures(contents)?;
    }
    Ok(conversation)
}

/// Since the user last spoke, the first call of each content carries the signature with which it came.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>
fn check_signatures(contents: &[Value]) -> Result<(), Refused> {
    let parts = |content: &Value| content["parts"].as_array().cloned().unwrap_or_default();
    let spoken = |content: &&Value| {
        content["role"] != "model" && parts(content).iter().any(|part| part.get("functionResponse").is_none())
    };
    let current = contents.iter().rev().take_while(|content| !spoken(content));
    for content in current {
        let parts = parts(content);
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        if first.is_some_and(|call| !call["thoughtSignature"].is_string()) {
            let message = "Function call is missing a thought_signature in functionCall parts. This is required for \
                           tools to work correctly.";
            return Err(Refused::whole(message));
        }
    }
    Ok(())
}

fn check_part(part: &Value, by_user: bool, at: &str) -> Result<(), Refused> {
    let known: Vec<&str> =
        DATA.into_iter().chain(["thought", "thoughtSignature", "mediaResolution", "videoMetadata"]).collect();
    only(part, &known, at)?;
    let held: Vec<&str> = DATA.into_iter().filter(|name| part.get(*name).is_some()).collect();
    let [held] = held[..] else {
        let message = format!("{at}.data: required oneof field 'data' must have one initialized field");
        return Err(Refused::field(format!("{at}.data"), message));
    };
    let data = &part[held];
    let (known, well): (&[&str], bool) = match held {
        "text" => (&[], data.is_string()),
        "inlineData" => {
            let bytes = data["data"].as_str().is_some_and(|data| STANDARD.decode(data).is_ok());
            (&["mimeType", "data", "displayName"], data["mimeType"].is_string() && bytes)
        }
        "fileData" => (&["mimeType", "fileUri", "displayName"], data["fileUri"].is_string()),
        "functionCall" => {
            let arguments = data.get("args").is_none_or(Value::is_object);
            (&["id", "name", "args"], !by_user && data["name"].is_string() && arguments)
        }
        "functionResponse" => {
            let well = by_user && data["name"].is_string() && data["response"].is_object();
            (&["id", "name", "response", "parts", "willContinue", "scheduling"], well)
        }
        _ => (&["id", "language", "code", "outcome", "output"], !by_user),
    };
    only(data, known, &format!("{at}.{held}"))?;
    if well { Ok(()) } else { Err(Refused::field(format!("{at}.{held}"), format!("Invalid value at '{at}.{held}'"))) }
}

/// A result as text: the one member of its object, or all of it.
fn result_text(response: &Value) -> String {
    let members = response.as_object();
    let only = members.filter(|members| members.len() == 1).and_then(|members| members.values().next());
    match only.unwrap_or(response) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
