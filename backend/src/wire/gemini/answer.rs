//! A whole answer.

use std::collections::BTreeMap;

use goblin_shared::request_id::RequestId;

use super::{
    response::{CallIds, Candidate, Response, Said},
    stop,
};
use crate::wire::{
    Unreadable,
    neutral::{Answer, AssistantPart, Choice, Stop},
};

/// Reads a server's answer. `request_id` makes ids for tool calls, which may have none here.
///
/// An answer without candidates to a prompt that was blocked is one choice that was filtered.
pub(crate) fn read_answer(body: &[u8], request_id: RequestId) -> Result<Answer, Unreadable> {
    let response = Response::read(body)?;
    let blocked = response.is_blocked();
    let mut ids = CallIds::new(request_id);
    let mut choices = BTreeMap::new();
    for (place, candidate) in response.candidates.into_iter().enumerate() {
        let index = candidate.index(place);
        if choices.insert(index, choice(candidate, &mut ids)?).is_some() {
            return Err(Unreadable("two of its candidates have the same index"));
        }
    }
    let mut choices: Vec<Choice> = choices.into_values().collect();
    if choices.is_empty() {
        if !blocked {
            return Err(Unreadable("it has no candidates, and no reason for that"));
        }
        choices.push(Choice { stop: Some(Stop::Filtered), ..Choice::default() });
    }
    let usage = response.usage_metadata.and_then(|usage| usage.read());
    Ok(Answer { id: response.response_id, model: response.model_version, choices, usage })
}

fn choice(mut candidate: Candidate, ids: &mut CallIds) -> Result<Choice, Unreadable> {
    let mut parts = Vec::new();
    let mut called = false;
    for part in candidate.take_parts() {
        match part.read(ids)? {
            Said::Text(text) => parts.push(AssistantPart::Text(text)),
            Said::Reasoning { text, signature } => parts.push(AssistantPart::Reasoning { text, signature }),
            Said::ToolCall(call) => {
                called = true;
                parts.push(AssistantPart::ToolCall(call));
            }
            Said::Nothing => {}
        }
    }
    Ok(Choice {
        parts,
        stop: candidate.finish_reason.map(|reason| stop::read(reason, called)).transpose()?,
        logprobs: candidate.logprobs_result.and_then(|result| result.read()),
    })
}
