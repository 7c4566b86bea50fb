//! Writes a stream for a client: blocks one after the other, each begun and ended.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{object_progress::ObjectProgress, stop, usage::Usage};
use crate::{
    ports::{self, Chunk},
    wire::{
        Origin,
        neutral::{Delta, Stop},
    },
};

/// Writes a stream for a client.
///
/// Clients read blocks one at a time, but the pieces of parallel calls may come mixed. A block is begun when the call
/// before it is complete, which is so when its arguments are a whole JSON text; what comes earlier waits.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    id: String,
    model: String,
    begun: bool,
    usage: ports::Usage,
    /// The block that is open.
    block: Option<Open>,
    /// Its number, or the next one's.
    index: u64,
    waiting: VecDeque<Delta>,
    refused: bool,
    stop: Option<Stop>,
}

/// An open block.
#[derive(Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking { signed: bool },
    Call { call: u32, arguments: ObjectProgress },
}

impl Open {
    /// Another block may begin.
    fn may_end(&self) -> bool {
        match self {
            Self::Text | Self::Thinking { .. } => true,
            Self::Call { arguments, .. } => arguments.is_whole(),
        }
    }
}

impl StreamWriter {
    /// Nothing is written before the first piece of content.
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            id: super::own_id(&origin),
            model: origin.model,
            begun: false,
            usage: ports::Usage::default(),
            block: None,
            index: 0,
            waiting: VecDeque::new(),
            refused: false,
            stop: None,
        }
    }

    /// Writes one piece. There is one choice only: no provider was asked for more.
    pub(crate) fn write(&mut self, delta: Delta, chunks: &mut Vec<Chunk>) {
        match delta {
            Delta::Begin { id, model } => {
                self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
            }
            Delta::Usage(usage) => self.usage = usage,
            Delta::Stop { choice: 0, stop } => self.stop = Some(stop),
            Delta::Done => self.end(chunks),
            Delta::Text { choice: 0, .. }
            | Delta::Refusal { choice: 0, .. }
            | Delta::Reasoning { choice: 0, .. }
            | Delta::ReasoningSignature { choice: 0, .. }
            | Delta::RedactedReasoning { choice: 0, .. }
            | Delta::ToolCall { choice: 0, .. }
            | Delta::Arguments { choice: 0, .. } => {
                self.begin(chunks);
                self.write_in_turn(delta, chunks);
            }
            // Other choices, and probabilities, which requests for are refused: this format has no words for them.
            _ => {}
        }
    }

    fn begin(&mut self, chunks: &mut Vec<Chunk>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": Usage::from(self.usage),
        });
        chunks.push(event("message_start", false, json!({"message": message})));
    }

    /// Writes a piece if it is its turn, and then what has waited for it.
    fn write_in_turn(&mut self, delta: Delta, chunks: &mut Vec<Chunk>) {
        let Some(Open::Call { call: open, .. }) = &self.block else {
            self.write_content(delta, chunks);
            return;
        };
        let belongs = matches!(&delta, Delta::Arguments { call, .. } if call == open);
        if belongs {
            self.write_content(delta, chunks);
        } else if self.waiting.is_empty() && self.block.as_ref().is_some_and(Open::may_end) {
            self.write_content(delta, chunks);
            return;
        } else {
            self.waiting.push_back(delta);
            return;
        }
        if !self.waiting.is_empty() && self.block.as_ref().is_some_and(Open::may_end) {
            for delta in std::mem::take(&mut self.waiting) {
                self.write_in_turn(delta, chunks);
            }
        }
    }

    fn write_content(&mut self, delta: Delta, chunks: &mut Vec<Chunk>) {
        match delta {
            Delta::Text { text, .. } => self.write_text(&text, chunks),
            Delta::Refusal { text, .. } => {
                self.refused = true;
                self.write_text(&text, chunks);
            }
            Delta::Reasoning { text, .. } => {
                self.open_thinking(chunks);
                self.push_delta(&json!({"type": "thinking_delta", "thinking": text}), chunks);
            }
            Delta::ReasoningSignature { signature, .. } => {
                self.open_thinking(chunks);
                self.push_delta(&json!({"type": "signature_delta", "signature": signature}), chunks);
                self.block = Some(Open::Thinking { signed: true });
            }
            Delta::RedactedReasoning { data, .. } => {
                self.close(chunks);
                self.push_start(&json!({"type": "redacted_thinking", "data": data}), true, chunks);
                self.push_stop(chunks);
            }
            Delta::ToolCall { call, id, name, .. } => {
                self.close(chunks);
                self.push_start(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}), true, chunks);
                self.block = Some(Open::Call { call, arguments: ObjectProgress::default() });
            }
            Delta::Arguments { call, json, .. } => {
                let Some(Open::Call { call: open, arguments }) = &mut self.block else { return };
                if *open == call {
                    arguments.push(&json);
                    self.push_delta(&json!({"type": "input_json_delta", "partial_json": json}), chunks);
                }
            }
            Delta::Begin { .. } | Delta::Logprobs { .. } | Delta::Stop { .. } | Delta::Usage(_) | Delta::Done => {}
        }
    }

    fn write_text(&mut self, text: &str, chunks: &mut Vec<Chunk>) {
        if self.block != Some(Open::Text) {
            self.close(chunks);
            self.push_start(&json!({"type": "text", "text": ""}), false, chunks);
            self.block = Some(Open::Text);
        }
        self.push_delta(&json!({"type": "text_delta", "text": text}), chunks);
    }

    /// A thought after a signature is another one.
    fn open_thinking(&mut self, chunks: &mut Vec<Chunk>) {
        if self.block != Some(Open::Thinking { signed: false }) {
            self.close(chunks);
            self.push_start(&json!({"type": "thinking", "thinking": "", "signature": ""}), false, chunks);
            self.block = Some(Open::Thinking { signed: false });
        }
    }

    fn close(&mut self, chunks: &mut Vec<Chunk>) {
        if self.block.take().is_some() {
            self.push_stop(chunks);
        }
    }

    fn end(&mut self, chunks: &mut Vec<Chunk>) {
        self.begin(chunks);
        // No more arguments come: what waits for the end of a call need wait no longer. A call among it may have its
        // arguments behind those of the next; they are brought together.
        while let Some(delta) = self.waiting.pop_front() {
            let call = match &delta {
                Delta::ToolCall { call, .. } => Some(*call),
                _ => None,
            };
            self.write_content(delta, chunks);
            let belongs = |delta: &Delta| matches!(delta, Delta::Arguments { call: of, .. } if Some(*of) == call);
            let (own, others) = std::mem::take(&mut self.waiting).into_iter().partition::<VecDeque<_>, _>(belongs);
            self.waiting = others;
            for delta in own {
                self.write_content(delta, chunks);
            }
        }
        self.close(chunks);
        // No reader ends a stream that did not tell why.
        let (reason, sequence) = self.stop.as_ref().map(|stop| stop::write(stop, self.refused)).unzip();
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence.flatten()});
        let usage = Usage::from(self.usage);
        chunks.push(event("message_delta", false, json!({"delta": delta, "usage": usage})));
        chunks.push(event("message_stop", false, json!({})));
    }

    fn push_start(&self, block: &Value, content: bool, chunks: &mut Vec<Chunk>) {
        chunks.push(event("content_block_start", content, json!({"index": self.index, "content_block": block})));
    }

    fn push_delta(&self, delta: &Value, chunks: &mut Vec<Chunk>) {
        chunks.push(event("content_block_delta", true, json!({"index": self.index, "delta": delta})));
    }

    fn push_stop(&mut self, chunks: &mut Vec<Chunk>) {
        chunks.push(event("content_block_stop", false, json!({"index": self.index})));
        self.index += 1;
    }
}

/// An event: its name is its type.
fn event(name: &'static str, content: bool, mut members: Value) -> Chunk {
    let mut data = json!({"type": name});
    if let (Value::Object(data), Value::Object(members)) = (&mut data, &mut members) {
        data.append(members);
    }
    Chunk { event: Some(name.into()), data: data.to_string(), content }
}
