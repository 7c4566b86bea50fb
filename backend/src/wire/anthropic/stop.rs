//! Why an answer ended, in Anthropic's words.

use crate::wire::neutral::Stop;

/// Reads a `stop_reason` and a `stop_sequence`.
pub(super) fn read(reason: &str, sequence: Option<String>) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::ToolCalls,
        "stop_sequence" => Stop::Sequence(sequence),
        "refusal" => Stop::Filtered,
        "pause_turn" => Stop::Pause,
        _ => Stop::Other(reason.to_owned()),
    }
}

/// Writes a `stop_reason` and a `stop_sequence`.
///
/// | ended because | `stop_reason` |
/// |---|---|
/// | it was complete, or anything else | `end_turn` |
/// | it was as long as it may be | `max_tokens` |
/// | tools are to be called | `tool_use` |
/// | a stop text came | `stop_sequence` |
/// | provider or model will not say it, or the answer is a refusal | `refusal` |
/// | the model pauses | `pause_turn` |
pub(super) fn write(stop: &Stop, refused: bool) -> (&'static str, Option<&str>) {
    match stop {
        Stop::Filtered => ("refusal", None),
        Stop::End | Stop::Other(_) if refused => ("refusal", None),
        Stop::End | Stop::Other(_) => ("end_turn", None),
        Stop::Length => ("max_tokens", None),
        Stop::ToolCalls => ("tool_use", None),
        Stop::Sequence(text) => ("stop_sequence", text.as_deref()),
        Stop::Pause => ("pause_turn", None),
    }
}
