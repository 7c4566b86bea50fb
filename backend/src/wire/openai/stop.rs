//! Why a choice ended, in OpenAI's words.

use crate::wire::neutral::Stop;

/// Reads a `finish_reason`. `called`: the choice calls tools; where the client forced a call by its name, OpenAI says
/// `stop` all the same (<https://platform.openai.com/docs/guides/function-calling>).
pub(super) fn read(reason: &str, called: bool) -> Stop {
    match reason {
        "stop" if called => Stop::ToolCalls,
        "stop" => Stop::End,
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::ToolCalls,
        "content_filter" => Stop::Filtered,
        _ => Stop::Other(reason.to_owned()),
    }
}

/// Writes a `finish_reason`.
///
/// | ended because | `finish_reason` |
/// |---|---|
/// | it was complete, a stop text came, the model pauses, anything else | `stop` |
/// | it was as long as it may be | `length` |
/// | tools are to be called | `tool_calls` |
/// | provider or model will not say it | `content_filter` |
pub(super) fn write(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::Other(_) => "stop",
        Stop::Length => "length",
        Stop::ToolCalls => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}
