//! A streamed answer.

use std::collections::BTreeMap;

use goblin_shared::request_id::RequestId;

use super::{
    response::{CallIds, Part, Response, Said},
    stop,
};
use crate::wire::{
    Unreadable,
    neutral::{Delta, Stop},
    sse,
};

/// Reads a server's stream, event by event.
///
/// Each event is a whole answer that holds what is new. None says that it is the last: the stream just ends, after every
/// candidate has told why it ended. Some models tell a reason with every event, so that the last one counts, and a
/// candidate ends with the body. A reason that more was said after is none. So a stream that was cut between the ends of
/// two candidates is found out, but not one that was cut before another candidate was heard of, or one of a model that
/// tells a reason with every event.
#[derive(Debug)]
pub(crate) struct StreamReader {
    ids: CallIds,
    begun: bool,
    choices: BTreeMap<u32, Progress>,
}

/// How far a candidate is.
#[derive(Debug, Default)]
struct Progress {
    calls: u32,
    /// Why it ended, as far as is known.
    stop: Option<Stop>,
}

impl StreamReader {
    /// `request_id` makes ids for tool calls.
    pub(crate) fn new(request_id: RequestId) -> Self {
        Self { ids: CallIds::new(request_id), begun: false, choices: BTreeMap::new() }
    }

    /// Reads one event.
    pub(crate) fn read(&mut self, event: &sse::Event, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        let response = Response::read(event.data.as_bytes())?;
        let blocked = response.is_blocked();
        if !std::mem::replace(&mut self.begun, true) {
            deltas.push(Delta::Begin { id: response.response_id, model: response.model_version });
        }
        for (place, mut candidate) in response.candidates.into_iter().enumerate() {
            let choice = candidate.index(place);
            let progress = self.choices.entry(choice).or_default();
            for part in candidate.take_parts() {
                progress.read(choice, part, &mut self.ids, deltas)?;
            }
            if let Some(logprobs) = candidate.logprobs_result.and_then(|result| result.read()) {
                deltas.push(Delta::Logprobs { choice, logprobs });
            }
            if let Some(reason) = candidate.finish_reason {
                progress.stop = Some(stop::read(reason, progress.calls > 0)?);
            }
        }
        if blocked {
            if self.choices.is_empty() {
                self.choices.insert(0, Progress::default());
            }
            for progress in self.choices.values_mut() {
                progress.stop.get_or_insert(Stop::Filtered);
            }
        }
        deltas.extend(response.usage_metadata.and_then(|usage| usage.read()).map(Delta::Usage));
        Ok(())
    }

    /// The body has ended in good order, which is the only end of this format: whether the answer is complete, or was
    /// cut.
    pub(crate) fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|progress| progress.stop.is_some())
    }

    /// The answer is complete: its choices end.
    pub(crate) fn finish(&self, deltas: &mut Vec<Delta>) {
        let stop =
            |(choice, progress): (&u32, &Progress)| Some(Delta::Stop { choice: *choice, stop: progress.stop.clone()? });
        deltas.extend(self.choices.iter().filter_map(stop));
    }
}

impl Progress {
    fn read(&mut self, choice: u32, part: Part, ids: &mut CallIds, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        let said = part.read(ids)?;
        if !matches!(said, Said::Nothing) {
            self.stop = None;
        }
        match said {
            Said::Text(text) => deltas.push(Delta::Text { choice, text }),
            Said::Reasoning { text, signature } => {
                if !text.is_empty() {
                    deltas.push(Delta::Reasoning { choice, text });
                }
                deltas.extend(signature.map(|signature| Delta::ReasoningSignature { choice, signature }));
            }
            Said::ToolCall(call) => {
                let json = call.arguments.to_string();
                let (id, name, signature) = (call.id, call.name, call.signature);
                deltas.push(Delta::ToolCall { choice, call: self.calls, id, name, signature });
                deltas.push(Delta::Arguments { choice, call: self.calls, json });
                self.calls = self.calls.saturating_add(1);
            }
            Said::Nothing => {}
        }
        Ok(())
    }
}
