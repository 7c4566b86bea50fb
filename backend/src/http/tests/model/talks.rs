//! The model of conversations: lists of what was said.

use serde_json::{Value, json};

use super::tariff;
use crate::ports::Owner;

/// A conversation.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) title: Option<String>,
    pub(super) instructions: Option<String>,
    pub(super) created_ms: u64,
    pub(super) updated_ms: u64,
    pub(super) turns: Vec<Said>,
}

/// A turn: a message, and what was answered.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) request_id: String,
    pub(super) at_ms: u64,
    pub(super) model: String,
    pub(super) asked: String,
    pub(super) answered: String,
    pub(super) prompt: u64,
    pub(super) completion: u64,
}

impl Said {
    fn messages(&self) -> [Value; 2] {
        [message("user", &self.asked), message("assistant", &self.answered)]
    }

    fn view(&self, number: usize) -> Value {
        json!({
            "object": "conversation.turn", "number": number, "request_id": self.request_id,
            "created_at": self.at_ms / 1_000, "model": self.model, "messages": self.messages(),
            "usage": usage(self.prompt, self.completion),
        })
    }
}

fn usage(prompt: u64, completion: u64) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

/// A message as it is sent and kept.
pub(super) fn message(role: &str, content: &str) -> Value {
    json!({ "role": role, "content": content })
}

/// What goes to the provider.
pub(super) struct Prompt {
    pub(super) messages: Vec<Value>,
    /// The estimate.
    pub(super) tokens: u64,
    /// Turns that are left out.
    pub(super) dropped: usize,
}

/// A request that belongs to no conversation.
pub(super) fn alone(asked: &str) -> Prompt {
    Prompt { messages: vec![message("user", asked)], tokens: tariff::tokens(1, ["user", asked]), dropped: 0 }
}

impl Talk {
    /// As many of the latest turns as have room beside the message.
    pub(super) fn prompt(&self, asked: &str, room: u64) -> Prompt {
        let mut tokens = tariff::tokens(1, ["user", asked]);
        let mut messages = Vec::new();
        if let Some(instructions) = &self.instructions {
            tokens += tariff::tokens(1, ["system", instructions.as_str()]);
            messages.push(message("system", instructions));
        }
        let mut dropped = self.turns.len();
        for turn in self.turns.iter().rev() {
            let more = tariff::tokens(2, ["user", turn.asked.as_str(), "assistant", turn.answered.as_str()]);
            if tokens + more > room {
                break;
            }
            tokens += more;
            dropped -= 1;
        }
        messages.extend(self.turns[dropped..].iter().flat_map(Said::messages));
        messages.push(message("user", asked));
        Prompt { messages, tokens, dropped }
    }

    /// As it is told.
    pub(super) fn view(&self) -> Value {
        let sum = |of: fn(&Said) -> u64| self.turns.iter().map(of).sum();
        json!({
            "id": self.id, "object": "conversation", "title": self.title, "instructions": self.instructions,
            "created_at": self.created_ms / 1_000, "updated_at": self.updated_ms / 1_000, "turns": self.turns.len(),
            "usage": usage(sum(|turn| turn.prompt), sum(|turn| turn.completion)),
        })
    }

    /// Its turns, as they are told.
    pub(super) fn turn_views(&self) -> Vec<Value> {
        self.turns.iter().zip(1..).map(|(turn, number)| turn.view(number)).collect()
    }
}
