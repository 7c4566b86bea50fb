//! OpenAI's wire format: chat completions and embeddings.
//!
//! <https://platform.openai.com/docs/api-reference/chat>, <https://platform.openai.com/docs/api-reference/embeddings>

mod answer;
mod embeddings;
mod request;

use http::HeaderMap;
use serde_json::{Map, Value, json};

pub(super) use self::{
    answer::{DONE, finish_chunk, text_chunk},
    embeddings::embeddings,
};
use super::{friendly::Whole, refused::Refused, turn::Turn};

/// A chat completion for `body`. `deployment` is the model where the path names it.
pub(super) fn chat(body: &Map<String, Value>, deployment: Option<&str>) -> Result<Whole, Refused> {
    let turn = request::read(body, deployment)?;
    let usage = body.get("stream_options").is_some_and(|options| options["include_usage"] == true);
    Ok(answer::answer(&turn, usage))
}

/// The answer to what was read already; a stream tells the tokens.
pub(super) fn answer(turn: &Turn) -> Whole {
    answer::answer(turn, true)
}

/// The key, as a bearer or as Azure has it. Any will do: tests look at which one came.
pub(super) fn authenticate(headers: &HeaderMap) -> Result<(), Refused> {
    let bearer = headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    if bearer || headers.contains_key("api-key") {
        return Ok(());
    }
    Err(Refused::status(401, "You didn't provide an API key."))
}

/// The body of an error.
pub(super) fn error_body(status: u16, message: &str, field: Option<&str>) -> Value {
    let kind = match status {
        401 | 403 => "authentication_error",
        429 => "rate_limit_exceeded",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {"message": message, "type": kind, "param": field, "code": null}})
}
