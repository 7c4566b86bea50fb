//! Bodies of requests about conversations.

use axum::extract::Request;
use goblin_shared::error_body::{ClientError, ErrorCode};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    chat::conversation::ConversationFailure,
    http::{
        chat::{check_head, read_body},
        errors::Failure,
    },
};

/// Longest title, in characters.
const TITLE_CHARACTERS: usize = 256;
/// Longest instructions, in bytes of UTF-8.
const INSTRUCTIONS_BYTES: usize = 32 * 1024;
/// How much of a name that is not known is told, in characters.
const NAME_CHARACTERS: usize = 64;

/// A new conversation.
#[derive(Debug, Default, PartialEq, Eq, ToSchema)]
pub(in crate::http) struct CreateConversation {
    /// What it is called: 1 to 256 characters, or null.
    #[schema(max_length = 256)]
    pub(super) title: Option<String>,
    /// What stands before its turns in every prompt, as a system message, where a request brings no system or developer
    /// message itself: at most 32 KiB, or null.
    #[schema(max_length = 32_768)]
    pub(super) instructions: Option<String>,
}

/// Another title.
#[derive(Debug, Default, PartialEq, Eq, ToSchema)]
pub(in crate::http) struct RenameConversation {
    /// What it is called from now on: 1 to 256 characters, or null for no title.
    #[schema(required = true, max_length = 256)]
    pub(super) title: Option<String>,
}

/// Reads the body of `POST /v1/conversations`.
pub(super) async fn read_create(request: Request, body_limit: usize) -> Result<CreateConversation, Failure> {
    let members = object(request, body_limit, &["title", "instructions"]).await?;
    let instructions = text(&members, "instructions")?;
    if instructions.as_ref().is_some_and(|text| text.len() > INSTRUCTIONS_BYTES) {
        return Err(invalid("instructions", format!("`instructions` must have at most {INSTRUCTIONS_BYTES} bytes.")));
    }
    Ok(CreateConversation { title: title(&members)?, instructions: instructions.filter(|text| !text.is_empty()) })
}

/// Reads the body of `PATCH /v1/conversations/{id}`.
pub(super) async fn read_rename(request: Request, body_limit: usize) -> Result<RenameConversation, Failure> {
    let members = object(request, body_limit, &["title"]).await?;
    if !members.contains_key("title") {
        return Err(invalid("title", "Say in `title` what the conversation is to be called; null for no title."));
    }
    Ok(RenameConversation { title: title(&members)? })
}

/// The members of a JSON object that has none but these.
async fn object(request: Request, body_limit: usize, known: &[&str]) -> Result<Map<String, Value>, Failure> {
    let (head, body) = request.into_parts();
    check_head(&head.headers, body_limit)?;
    let body = read_body(body, body_limit).await?;
    let Ok(Value::Object(members)) = serde_json::from_slice(&body) else {
        let message = "The body must be a JSON object, `{}` at least.";
        return Err(ClientError::new(ErrorCode::InvalidJson, message).into());
    };
    if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
        let name: String = other.chars().take(NAME_CHARACTERS).collect();
        return Err(invalid(&name, format!("There is no such field here; leave it out. Known: {}.", known.join(", "))));
    }
    Ok(members)
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Failure> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        // Not every store keeps it.
        Some(Value::String(text)) if text.contains('\0') => {
            Err(invalid(name, format!("`{name}` must not have the character U+0000.")))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(name, format!("`{name}` must be a text, or null."))),
    }
}

fn title(members: &Map<String, Value>) -> Result<Option<String>, Failure> {
    let title = text(members, "title")?;
    match title.as_ref().map(|title| title.chars().count()) {
        None | Some(1..=TITLE_CHARACTERS) => Ok(title),
        Some(_) => Err(invalid("title", format!("`title` must have 1 to {TITLE_CHARACTERS} characters, or be null."))),
    }
}

fn invalid(param: &str, message: impl Into<String>) -> Failure {
    ConversationFailure::invalid(param, message).into()
}
