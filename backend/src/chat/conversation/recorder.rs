//! The answer of a chat completion as the message that is kept of it, whether it came whole or in pieces.
//!
//! Kept is what the next request needs: text, refusal, calls of tools. Left out is what was thought, which no provider
//! wants back in this form, and everything that tells of the answer rather than being it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Largest answer that is kept, in bytes of its texts: more than any model writes at once.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Most calls of tools in one answer.
const CALLS: usize = 1_024;

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// Its texts are larger than the bound.
    #[error("the answer is larger than what is kept of a turn")]
    TooLarge,
    /// It is no answer of a chat completion.
    #[error("the answer is none that could be kept")]
    Unreadable,
}

/// Collects the first choice of an answer.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    content: String,
    refusal: String,
    function_call: Option<Called>,
    calls: BTreeMap<u64, Call>,
    bytes: usize,
    /// There was a message, or a piece of one.
    begun: bool,
    fault: Option<NotRecorded>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default, alias = "delta")]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    function_call: Option<Called>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
}

/// A text, or its parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct CallPiece {
    /// Only pieces have one; whole calls stand in their order.
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    function: Option<Called>,
    #[serde(default)]
    custom: Option<Called>,
}

/// What is called: a function with arguments, or another tool with input.
#[derive(Debug, Default, Deserialize)]
struct Called {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "input")]
    arguments: Option<String>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    kind: String,
    called: Called,
    is_custom: bool,
}

impl Called {
    fn add(&mut self, piece: Self) {
        for (whole, piece) in [(&mut self.name, piece.name), (&mut self.arguments, piece.arguments)] {
            if let Some(piece) = piece {
                whole.get_or_insert_default().push_str(&piece);
            }
        }
    }

    fn bytes(&self) -> usize {
        [&self.name, &self.arguments].into_iter().flatten().map(String::len).sum()
    }

    fn to_json(&self, arguments: &str) -> Value {
        json!({
            "name": self.name.as_deref().unwrap_or_default(),
            arguments: self.arguments.as_deref().unwrap_or_default(),
        })
    }
}

impl Recorder {
    /// Takes a whole answer in, the JSON of a `chat.completion`.
    pub(crate) fn whole(&mut self, body: &[u8]) {
        self.read(body);
    }

    /// Takes a piece in: the data of an event, the JSON of a `chat.completion.chunk`.
    pub(crate) fn chunk(&mut self, data: &str) {
        self.read(data.as_bytes());
    }

    fn read(&mut self, json: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        let Ok(Wire { choices }) = serde_json::from_slice(json) else {
            self.fault = Some(NotRecorded::Unreadable);
            return;
        };
        for message in choices.into_iter().filter(|choice| choice.index == 0).filter_map(|choice| choice.message) {
            self.add(message);
        }
        if self.bytes > ANSWER_BYTES || self.calls.len() > CALLS {
            *self = Self { fault: Some(NotRecorded::TooLarge), ..Self::default() };
        }
    }

    fn add(&mut self, message: Message) {
        self.begun = true;
        let content = match message.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
            None => String::new(),
        };
        let refusal = message.refusal.unwrap_or_default();
        self.bytes += content.len() + refusal.len();
        self.content.push_str(&content);
        self.refusal.push_str(&refusal);
        if let Some(called) = message.function_call {
            self.bytes += called.bytes();
            self.function_call.get_or_insert_default().add(called);
        }
        for (place, piece) in (0..).zip(message.tool_calls.into_iter().flatten()) {
            self.call(place, piece);
        }
    }

    fn call(&mut self, place: u64, piece: CallPiece) {
        let CallPiece { index, id, kind, function, custom } = piece;
        let call = self.calls.entry(index.unwrap_or(place)).or_default();
        call.is_custom |= custom.is_some();
        if let Some(called) = function.or(custom) {
            self.bytes += called.bytes();
            call.called.add(called);
        }
        // Some servers repeat these with every piece, so that the first counts.
        for (known, said) in [(&mut call.id, id), (&mut call.kind, kind)] {
            if let Some(said) = said.filter(|_| known.is_empty()) {
                self.bytes += said.len();
                *known = said;
            }
        }
    }

    /// The message, as JSON.
    ///
    /// Its content is null where it consists of calls or of a refusal, as whole answers have it; pieces may say an
    /// empty text then.
    pub(crate) fn finish(self) -> Result<String, NotRecorded> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.begun {
            return Err(NotRecorded::Unreadable);
        }
        let says_otherwise = !self.refusal.is_empty() || !self.calls.is_empty() || self.function_call.is_some();
        let has_no_content = self.content.is_empty() && says_otherwise;
        let content = if has_no_content { Value::Null } else { self.content.into() };
        let mut message = Map::from_iter([("role".to_owned(), "assistant".into()), ("content".to_owned(), content)]);
        if !self.refusal.is_empty() {
            message.insert("refusal".to_owned(), self.refusal.into());
        }
        if let Some(called) = self.function_call {
            message.insert("function_call".to_owned(), called.to_json("arguments"));
        }
        if !self.calls.is_empty() {
            let calls: Vec<Value> = self.calls.values().map(Call::to_json).collect();
            message.insert("tool_calls".to_owned(), calls.into());
        }
        Ok(Value::Object(message).to_string())
    }
}

impl Call {
    fn to_json(&self) -> Value {
        if self.is_custom {
            json!({ "id": self.id, "type": "custom", "custom": self.called.to_json("input") })
        } else {
            let kind = if self.kind.is_empty() { "function" } else { &self.kind };
            json!({ "id": self.id, "type": kind, "function": self.called.to_json("arguments") })
        }
    }
}
