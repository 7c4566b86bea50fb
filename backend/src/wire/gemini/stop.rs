//! Why an answer ended.

use crate::wire::{Unreadable, neutral::Stop};

/// The API's words, by what they mean. `called`: the candidate calls tools, for which the API has no word of its own;
/// nor has it one for a text that ends answers.
/// Where the model made a call that cannot be read, or none that was declared, there is no answer: another attempt may
/// have one. Source: <https://ai.google.dev/api/generate-content#FinishReason>.
pub(super) fn read(reason: String, called: bool) -> Result<Stop, Unreadable> {
    Ok(match reason.as_str() {
        "STOP" if called => Stop::ToolCalls,
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Stop::Filtered,
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "TOO_MANY_TOOL_CALLS"
        | "UNEXPECTED_TOOL_CALL" => return Err(Unreadable("the model made a call that is none")),
        _ => Stop::Other(reason),
    })
}
