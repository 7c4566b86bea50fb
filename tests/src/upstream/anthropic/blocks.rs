//! The messages of a request and the blocks of which they are made.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::Version;
use crate::upstream::refused::{Refused, unknown_member};

/// What an answer depends on.
pub(super) struct Conversation {
    /// Text of the last message that the user wrote.
    pub(super) user_text: String,
    /// Results of tools with which it ends.
    pub(super) results: Vec<String>,
}

/// Reads the messages: user and assistant, beginning with the user, each call of a tool answered in the next message.
pub(super) fn read(messages: &Value, version: Version) -> Result<Conversation, Refused> {
    let messages = messages.as_array().ok_or_else(|| Refused::whole("messages: Input should be a valid array"))?;
    if messages.is_empty() {
        return Err(Refused::whole("messages: at least one message is required"));
    }
    if messages[0]["role"] != "user" && messages[0]["role"] != "system" {
        return Err(Refused::whole("messages: first message must use the \"user\" role"));
    }
    let mut conversation = Conversation { user_text: String::new(), results: Vec::new() };
    let mut called: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.{index}");
        if let Some(name) = message.as_object().and_then(|members| unknown_member(members, &["role", "content"])) {
            return Err(Refused::whole(format!("{at}.{name}: Extra inputs are not permitted")));
        }
        let by_user = match message["role"].as_str() {
            Some("user") => true,
            Some("assistant") => false,
            Some("system") if version == Version::Of2026 => {
                text_of(&message["content"], &format!("{at}.content"))?;
                continue;
            }
            Some("system") => {
                let hint =
                    "The Messages API accepts a top-level `system` parameter, not \"system\" as an input message";
                return Err(Refused::whole(format!("messages: Unexpected role \"system\". {hint} role.")));
            }
            _ => return Err(Refused::whole(format!("{at}.role: Input should be 'user' or 'assistant'"))),
        };
        let read = read_content(&message["content"], by_user, &at)?;
        for id in &read.answered {
            if !called.contains(id) {
                let rule =
                    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message";
                return Err(Refused::whole(format!("{at}: unexpected `tool_use_id` {id}. {rule}.")));
            }
        }
        if let Some(id) = called.iter().find(|id| !read.answered.contains(id)) {
            let fault = "`tool_use` ids were found without `tool_result` blocks immediately after";
            return Err(Refused::whole(format!("{at}: {fault}: {id}.")));
        }
        called = read.called;
        if by_user {
            if !read.text.is_empty() || read.results.is_empty() {
                conversation.user_text = read.text;
            }
            conversation.results = read.results;
        } else {
            conversation.results.clear();
        }
    }
    match called.first() {
        Some(id) => Err(Refused::whole(format!("`tool_use` ids were found without `tool_result` blocks: {id}."))),
        None => Ok(conversation),
    }
}

/// The text of a string or of text blocks alone.
pub(super) fn text_of(content: &Value, at: &str) -> Result<String, Refused> {
    if let Some(text) = content.as_str() {
        return Ok(text.to_owned());
    }
    let Some(blocks) = content.as_array() else {
        return Err(Refused::whole(format!("{at}: Input should be a valid string or array")));
    };
    let mut text = String::new();
    for (index, block) in blocks.iter().enumerate() {
        match block["text"].as_str() {
            Some(part) if block["type"] == "text" => text.push_str(part),
            _ => return Err(Refused::whole(format!("{at}.{index}: Input tag does not match 'text'"))),
        }
    }
    Ok(text)
}

/// What the blocks of one message hold.
#[derive(Default)]
struct Content {
    text: String,
    called: Vec<String>,
    answered: Vec<String>,
    results: Vec<String>,
}

fn read_content(content: &Value, by_user: bool, at: &str) -> Result<Content, Refused> {
    let mut read = Content::default();
    if let Some(text) = content.as_str() {
        if text.is_empty() {
            return Err(Refused::whole(format!("{at}: user messages must have non-empty content")));
        }
        text.clone_into(&mut read.text);
        return Ok(read);
    }
    let blocks = content.as_array().filter(|blocks| !blocks.is_empty());
    let blocks = blocks.ok_or_else(|| Refused::whole(format!("{at}.content: Input should be a non-empty array")))?;
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("{at}.content.{index}");
        let kind = block["type"].as_str().unwrap_or_default();
        let known: &[&str] = match kind {
            "text" => &["type", "text", "cache_control", "citations"],
            "image" => &["type", "source", "cache_control"],
            "document" => &["type", "source", "title", "context", "citations", "cache_control"],
            "tool_use" => &["type", "id", "name", "input", "cache_control", "caller"],
            "tool_result" => &["type", "tool_use_id", "content", "is_error", "cache_control"],
            "thinking" => &["type", "thinking", "signature"],
            "redacted_thinking" => &["type", "data"],
            _ => return Err(Refused::whole(format!("{at}: Input tag '{kind}' does not match any expected tag"))),
        };
        let by_its_writer = match kind {
            "text" => true,
            "image" | "document" | "tool_result" => by_user,
            _ => !by_user,
        };
        if !by_its_writer {
            return Err(Refused::whole(format!("{at}: `{kind}` blocks are not permitted in this role")));
        }
        if let Some(name) = block.as_object().and_then(|members| unknown_member(members, known)) {
            return Err(Refused::whole(format!("{at}.{kind}.{name}: Extra inputs are not permitted")));
        }
        read_block(&mut read, block, kind, &at)?;
    }
    Ok(read)
}

fn read_block(read: &mut Content, block: &Value, kind: &str, at: &str) -> Result<(), Refused> {
    let required = |name: &str| {
        let value = block[name].as_str();
        value.map(str::to_owned).ok_or_else(|| Refused::whole(format!("{at}.{kind}.{name}: Field required")))
    };
    match kind {
        "text" => {
            let text = required("text")?;
            if text.is_empty() {
                return Err(Refused::whole("messages: text content blocks must be non-empty"));
            }
            read.text.push_str(&text);
        }
        "image" => check_picture(&block["source"], at)?,
        "tool_use" => {
            required("name")?;
            read.called.push(required("id")?);
            if !block["input"].is_object() {
                return Err(Refused::whole(format!("{at}.tool_use.input: Input should be a valid dictionary")));
            }
        }
        "tool_result" => {
            if !read.text.is_empty() {
                return Err(Refused::whole(format!("{at}: `tool_result` blocks must come first")));
            }
            read.answered.push(required("tool_use_id")?);
            read.results.push(match &block["content"] {
                Value::Null => String::new(),
                content => text_of(content, &format!("{at}.tool_result.content"))?,
            });
        }
        "thinking" => {
            required("signature")?;
        }
        _ => {}
    }
    Ok(())
}

fn check_picture(source: &Value, at: &str) -> Result<(), Refused> {
    let well = match source["type"].as_str() {
        Some("url") => source["url"].as_str().is_some_and(|url| url.starts_with("https://")),
        Some("base64") => {
            let kinds = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            let kind = source["media_type"].as_str().unwrap_or_default();
            kinds.contains(&kind) && source["data"].as_str().is_some_and(|data| STANDARD.decode(data).is_ok())
        }
        Some("file") => source["file_id"].is_string(),
        _ => false,
    };
    if well { Ok(()) } else { Err(Refused::whole(format!("{at}.image.source: Input is no picture that can be read"))) }
}
