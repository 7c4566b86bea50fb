//! Reads a server's stream.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    DONE,
    content::{self, Content},
    message::ExtraContent,
    reasoning_details::ReasoningDetail,
    stop,
    usage::Usage,
};
use crate::wire::{
    Unreadable, lenient,
    neutral::{AssistantPart, Delta},
    sse,
};

/// A chunk.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<ChunkChoice>>,
    #[serde(default, deserialize_with = "lenient::member")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: Option<ChunkDelta>,
    #[serde(default)]
    logprobs: Option<Value>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct ChunkDelta {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    reasoning_details: Option<Vec<ReasoningDetail>>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
struct CallPiece {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionPiece>,
    #[serde(default)]
    extra_content: Option<ExtraContent>,
}

#[derive(Default, Deserialize)]
struct FunctionPiece {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// Reads a server's stream, event by event. It is shown no errors: they are looked for before.
#[derive(Debug, Default)]
pub(crate) struct StreamReader {
    begun: bool,
    choices: BTreeMap<u32, ChoiceSoFar>,
}

#[derive(Debug, Default)]
struct ChoiceSoFar {
    finished: bool,
    /// The calls so far, as the server counts them and as we do.
    calls: BTreeMap<u64, (u32, String)>,
    call_count: u32,
}

impl StreamReader {
    /// Reads one event.
    pub(crate) fn read(&mut self, event: &sse::Event, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        match event.data.trim() {
            "" => return Ok(()),
            DONE => {
                deltas.push(Delta::Done);
                return Ok(());
            }
            _ => {}
        }
        let chunk: Chunk =
            serde_json::from_str(&event.data).map_err(|_| Unreadable("an event of the stream is no chunk"))?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if !std::mem::replace(&mut self.begun, true) {
            deltas.push(Delta::Begin { id: said(chunk.id), model: said(chunk.model) });
        }
        for choice in chunk.choices.into_iter().flatten() {
            self.read_choice(choice, deltas)?;
        }
        deltas.extend(chunk.usage.map(|usage| Delta::Usage(usage.into())));
        Ok(())
    }

    /// The stream has ended, by its own word or with the body: whether the answer is complete, or was cut. Why a choice
    /// ended must have been told: nobody else knows.
    pub(crate) fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }

    fn read_choice(&mut self, read: ChunkChoice, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        let choice = read.index;
        let so_far = self.choices.entry(choice).or_default();
        let delta = read.delta.unwrap_or_default();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let details = delta.reasoning_details.unwrap_or_default();
        if details.is_empty() {
            let text = said(delta.reasoning_content).or(said(delta.reasoning));
            deltas.extend(text.map(|text| Delta::Reasoning { choice, text }));
        }
        let details = details.into_iter().filter_map(ReasoningDetail::read_leniently);
        for part in details.chain(content::read(delta.content)) {
            match part {
                AssistantPart::Reasoning { text, signature } => {
                    deltas.extend(said(Some(text)).map(|text| Delta::Reasoning { choice, text }));
                    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { choice, signature }));
                }
                AssistantPart::RedactedReasoning(data) => deltas.push(Delta::RedactedReasoning { choice, data }),
                AssistantPart::Text(text) => deltas.push(Delta::Text { choice, text }),
                _ => {}
            }
        }
        deltas.extend(said(delta.refusal).map(|text| Delta::Refusal { choice, text }));
        for piece in delta.tool_calls.into_iter().flatten() {
            so_far.read_call(choice, piece, deltas)?;
        }
        deltas.extend(read.logprobs.map(|logprobs| Delta::Logprobs { choice, logprobs }));
        if let Some(reason) = said(read.finish_reason) {
            so_far.finished = true;
            deltas.push(Delta::Stop { choice, stop: stop::read(&reason, so_far.call_count > 0) });
        }
        Ok(())
    }
}

impl ChoiceSoFar {
    /// A call begins with its id. Some servers repeat it with each piece, and some give all calls the same place.
    fn read_call(&mut self, choice: u32, piece: CallPiece, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        let function = piece.function.unwrap_or_default();
        let id = piece.id.filter(|id| !id.is_empty());
        let known = self.calls.get(&piece.index).filter(|(_, known)| id.as_ref().is_none_or(|id| id == known));
        let call = if let Some((call, _)) = known {
            *call
        } else {
            let id = id.ok_or(Unreadable("a tool call has no id"))?;
            let name = function.name.ok_or(Unreadable("a tool call has no name"))?;
            let signature = piece.extra_content.and_then(ExtraContent::signature);
            let call = self.call_count;
            self.call_count += 1;
            self.calls.insert(piece.index, (call, id.clone()));
            deltas.push(Delta::ToolCall { choice, call, id, name, signature });
            call
        };
        let json = function.arguments.filter(|json| !json.is_empty());
        deltas.extend(json.map(|json| Delta::Arguments { choice, call, json }));
        Ok(())
    }
}
