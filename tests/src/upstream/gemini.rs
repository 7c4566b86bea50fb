//! Gemini's wire format: contents and embeddings.
//!
//! <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/embeddings>

mod answer;
mod contents;
mod embeddings;
mod request;

use serde_json::{Map, Value, json};

pub(super) use self::{
    answer::{answer, finish_chunk, text_chunk},
    embeddings::{embed, embed_batch},
};
use super::{friendly::Whole, refused::Refused};
use crate::http_peer::ReceivedRequest;

/// The answer of `model` to `body`.
pub(super) fn generate(body: &Map<String, Value>, model: &str, streams: bool) -> Result<Whole, Refused> {
    Ok(answer(&request::read(body, model, streams)?))
}

/// The key, in the head or, as many examples have it, in the query.
pub(super) fn authenticate(request: &ReceivedRequest) -> Result<(), Refused> {
    let in_query = request.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("key=")));
    if in_query || request.headers.get("x-goog-api-key").is_some_and(|key| !key.is_empty()) {
        return Ok(());
    }
    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API \
                   Key or other form of API consumer identity to call this API.";
    Err(Refused::status(403, message))
}

/// The body of an error; `field` is told in its details.
pub(super) fn error_body(status: u16, message: &str, field: Option<&str>) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let mut error = json!({"code": status, "message": message, "status": name});
    if let Some(field) = field {
        let violations = json!([{"field": field, "description": message}]);
        error["details"] =
            json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]);
    }
    json!({"error": error})
}

/// 400 for a member that no message of the interface has.
fn unknown_name(name: &str, at: &str) -> Refused {
    let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
    let message = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
    Refused::field(at, message)
}

/// Refuses the first member of an object that is not among `known`. What is no object passes.
fn only(value: &Value, known: &[&str], at: &str) -> Result<(), Refused> {
    match value.as_object().and_then(|members| super::refused::unknown_member(members, known)) {
        Some(name) => Err(unknown_name(name, at)),
        None => Ok(()),
    }
}
