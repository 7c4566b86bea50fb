//! A turn before its answer is known.

use super::recorder::{NotRecorded, Recorder};
use crate::ports::{NewTurn, Owner};

/// What is kept of a request, for its answer to be added.
#[derive(Clone, Debug)]
pub(crate) struct TurnDraft {
    pub(in crate::chat) conversation_id: String,
    pub(in crate::chat) owner: Owner,
    /// Which turn it becomes, from 1, unless another one overtakes it.
    pub(in crate::chat) number: u64,
    /// The client's new messages, with commas between.
    pub(in crate::chat) messages: String,
}

/// What is known of an answer when it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Who answered, `provider/model`.
    pub(crate) model: String,
    /// Tokens of the prompt, context included.
    pub(crate) prompt_tokens: u64,
    /// Tokens of the answer.
    pub(crate) completion_tokens: u64,
}

impl TurnDraft {
    /// The conversation that it belongs to.
    pub(crate) fn conversation_id(&self) -> &str {
        &self.conversation_id
    }

    /// The turn, to be kept with the settlement of its request.
    pub(crate) fn complete(self, recorder: Recorder, completed: Completed) -> Result<NewTurn, NotRecorded> {
        let answer = recorder.finish()?;
        let Completed { at_ms, model, prompt_tokens, completion_tokens } = completed;
        Ok(NewTurn {
            conversation_id: self.conversation_id,
            owner: self.owner,
            at_ms,
            model,
            messages: format!("[{},{answer}]", self.messages),
            prompt_tokens,
            completion_tokens,
        })
    }
}
