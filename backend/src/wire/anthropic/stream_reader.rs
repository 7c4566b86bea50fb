//! Reads a server's stream.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{answer::AnswerMessage, block::Block, stop, usage::Usage};
use crate::wire::{Unreadable, lenient, neutral::Delta, sse};

/// An event, by its `type`. New types may come at any time
/// (<https://platform.claude.com/docs/en/build-with-claude/streaming>).
#[derive(Deserialize, ToSchema)]
#[schema(as = MessagesEvent)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first: an answer that says nothing yet.
    MessageStart {
        /// The answer.
        #[schema(value_type = AnswerMessage)]
        message: Start,
    },
    /// A block begins.
    ContentBlockStart {
        /// Its number.
        index: u64,
        /// What is known of it.
        content_block: Block,
    },
    /// More of a block.
    ContentBlockDelta {
        /// Its number.
        index: u64,
        /// The piece.
        delta: BlockDelta,
    },
    /// A block is complete.
    ContentBlockStop {
        /// Its number.
        index: u64,
    },
    /// Why the answer ended, and its tokens.
    MessageDelta {
        /// Why.
        delta: MessageDelta,
        /// Tokens of the whole answer.
        #[serde(default, deserialize_with = "lenient::member")]
        usage: Option<Usage>,
    },
    /// The last: the answer is complete.
    MessageStop,
    /// Any other, such as `ping`.
    #[serde(other, skip_serializing)]
    Other,
}

/// What is read of the first event's answer.
#[derive(Deserialize)]
pub(crate) struct Start {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    usage: Option<Usage>,
}

/// Why an answer ended.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessagesStop)]
pub(crate) struct MessageDelta {
    /// As in a whole answer.
    #[serde(default)]
    stop_reason: Option<String>,
    /// The text that ended it.
    #[serde(default)]
    stop_sequence: Option<String>,
}

/// A piece of a block.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessagesBlockDelta)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the format's own words")]
pub(crate) enum BlockDelta {
    /// Of a text.
    TextDelta {
        /// More of it.
        text: String,
    },
    /// Of a tool's input.
    InputJsonDelta {
        /// More of its JSON text.
        partial_json: String,
    },
    /// Of a thought.
    ThinkingDelta {
        /// More of it.
        thinking: String,
    },
    /// The proof of a thought.
    SignatureDelta {
        /// The whole proof.
        signature: String,
    },
    /// Any other.
    #[serde(other, skip_serializing)]
    OtherDelta,
}

/// Reads a server's stream, event by event. It is shown no errors: they are looked for before.
#[derive(Debug, Default)]
pub(crate) struct StreamReader {
    /// The calls whose blocks are open: their number, and whether arguments came.
    calls: BTreeMap<u64, (u32, bool)>,
    call_count: u32,
    usage: Usage,
    stopped: bool,
}

impl StreamReader {
    /// Reads one event.
    pub(crate) fn read(&mut self, event: &sse::Event, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        let event: Event = serde_json::from_str(&event.data)
            .map_err(|_| Unreadable("an event of the stream is none of this format"))?;
        match event {
            Event::MessageStart { message } => {
                let said = |text: Option<String>| text.filter(|text| !text.is_empty());
                deltas.push(Delta::Begin { id: said(message.id), model: said(message.model) });
                self.read_usage(message.usage, deltas);
            }
            Event::ContentBlockStart { index, content_block } => self.read_block(index, content_block, deltas),
            Event::ContentBlockDelta { index, delta } => self.read_delta(index, delta, deltas)?,
            Event::ContentBlockStop { index } => {
                if let Some((call, false)) = self.calls.remove(&index) {
                    // Arguments that are none are still an object.
                    deltas.push(Delta::Arguments { choice: 0, call, json: "{}".to_owned() });
                }
            }
            Event::MessageDelta { delta: MessageDelta { stop_reason, stop_sequence }, usage } => {
                if let Some(reason) = stop_reason {
                    self.stopped = true;
                    deltas.push(Delta::Stop { choice: 0, stop: stop::read(&reason, stop_sequence) });
                }
                self.read_usage(usage, deltas);
            }
            Event::MessageStop => deltas.push(Delta::Done),
            Event::Other => {}
        }
        Ok(())
    }

    /// The stream has ended, by its own word or with the body: whether the answer is complete, or was cut. Why it ended
    /// must have been told: nobody else knows.
    pub(crate) fn is_complete(&self) -> bool {
        self.stopped
    }

    fn read_usage(&mut self, usage: Option<Usage>, deltas: &mut Vec<Delta>) {
        if let Some(usage) = usage {
            self.usage.update(usage);
            deltas.push(Delta::Usage(self.usage.into()));
        }
    }

    fn read_block(&mut self, index: u64, block: Block, deltas: &mut Vec<Delta>) {
        let choice = 0;
        match block {
            Block::Text { text, .. } => push_text(text, deltas),
            Block::Thinking { thinking, signature, .. } => {
                push_thinking(thinking, deltas);
                push_signature(signature, deltas);
            }
            Block::RedactedThinking { data, .. } => deltas.push(Delta::RedactedReasoning { choice, data }),
            Block::ToolUse { id, name, input, .. } => {
                let call = self.call_count;
                self.call_count += 1;
                deltas.push(Delta::ToolCall { choice, call, id, name, signature: None });
                // Mostly the object is empty here, and comes in pieces.
                let is_there = input.as_object().is_some_and(|input| !input.is_empty());
                self.calls.insert(index, (call, is_there));
                if is_there {
                    deltas.push(Delta::Arguments { choice, call, json: Value::to_string(&input) });
                }
            }
            Block::Image { .. } | Block::ToolResult { .. } | Block::Other => {}
        }
    }

    fn read_delta(&mut self, index: u64, delta: BlockDelta, deltas: &mut Vec<Delta>) -> Result<(), Unreadable> {
        match delta {
            BlockDelta::TextDelta { text } => push_text(text, deltas),
            BlockDelta::ThinkingDelta { thinking } => push_thinking(thinking, deltas),
            BlockDelta::SignatureDelta { signature } => push_signature(signature, deltas),
            BlockDelta::InputJsonDelta { partial_json } if !partial_json.is_empty() => {
                let (call, is_there) =
                    self.calls.get_mut(&index).ok_or(Unreadable("arguments belong to no tool call"))?;
                *is_there = true;
                deltas.push(Delta::Arguments { choice: 0, call: *call, json: partial_json });
            }
            BlockDelta::InputJsonDelta { .. } | BlockDelta::OtherDelta => {}
        }
        Ok(())
    }
}

fn push_text(text: String, deltas: &mut Vec<Delta>) {
    deltas.extend(Some(text).filter(|text| !text.is_empty()).map(|text| Delta::Text { choice: 0, text }));
}

fn push_thinking(text: String, deltas: &mut Vec<Delta>) {
    deltas.extend(Some(text).filter(|text| !text.is_empty()).map(|text| Delta::Reasoning { choice: 0, text }));
}

fn push_signature(signature: String, deltas: &mut Vec<Delta>) {
    let signature = Some(signature).filter(|signature| !signature.is_empty());
    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { choice: 0, signature }));
}
