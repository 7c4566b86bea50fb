//! What goes along with a request of what was said before: a pure function of the request, the turns and the window.

use bytes::Bytes;
use goblin_shared::chat_request::messages_tokens;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{failure::ConversationFailure, members::Members};

/// Largest body that is assembled, in bytes. Images are many bytes and few tokens, so that the window alone does not
/// bound it.
pub(super) const CONTEXT_BYTES: usize = 16 * 1024 * 1024;

/// A request that goes on with a conversation, taken apart.
#[derive(Debug)]
pub(super) struct Request<'a> {
    members: Members<'a>,
    /// System and developer messages that it begins with: they count for this request, and are not kept.
    leading: Vec<&'a RawValue>,
    /// The rest, which is at least one message.
    own: Vec<&'a RawValue>,
    /// The first of the rest answers a tool call.
    answers_tool: bool,
}

/// A turn, as far as assembling goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    /// A JSON array of messages.
    messages: String,
    /// About so many tokens.
    tokens: u32,
    /// It begins with a user's message, so that the prompt may begin with it.
    may_begin: bool,
}

/// How much room there is, and what stands in it anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Tokens that the prompt may have.
    pub(super) tokens: u32,
    /// Tokens that it has without turns.
    pub(super) base: u32,
}

/// Which turns of those that are known can go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Those from this one on (of as many as there are: none).
    At(usize),
    /// Those that are known end in the midst of a tool exchange, or fit altogether: more must be known.
    Further,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    role: Option<String>,
}

/// Who speaks in a message; empty where it does not say so.
fn role(message: &RawValue) -> String {
    serde_json::from_str::<Spoken>(message.get()).ok().and_then(|spoken| spoken.role).unwrap_or_default()
}

impl<'a> Request<'a> {
    /// Takes apart a body that [`goblin_shared::chat_request::read`] has taken.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ConversationFailure> {
        let unreadable =
            || ConversationFailure::invalid("messages", "`messages` must be an array with at least one message.");
        let members: Members<'a> = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let choices = members.get("n").map_or("1", RawValue::get);
        if !matches!(choices, "1" | "null") {
            let message = "A conversation goes on with one answer; leave `n` out.";
            return Err(ConversationFailure::invalid("n", message));
        }
        let messages = members.get("messages").map_or("[]", RawValue::get);
        let mut leading: Vec<&RawValue> = serde_json::from_str(messages).map_err(|_| unreadable())?;
        let begin = leading.iter().position(|message| !matches!(role(message).as_str(), "system" | "developer"));
        let own = leading.split_off(begin.unwrap_or(leading.len()));
        let Some(first) = own.first() else {
            let message = "`messages` must go on with the conversation: add a message that is no instruction.";
            return Err(ConversationFailure::invalid("messages", message));
        };
        let answers_tool = matches!(role(first).as_str(), "tool" | "function");
        Ok(Self { members, leading, own, answers_tool })
    }

    /// Whether it has instructions of its own.
    pub(super) fn is_instructed(&self) -> bool {
        !self.leading.is_empty()
    }

    /// The messages that are kept of it, with commas between.
    pub(super) fn kept(&self) -> String {
        joined(&self.own)
    }

    /// The first of `past`, which are the latest turns in their order, that goes along. `is_all`: there are none before.
    ///
    /// The oldest are left out first, and no more than must be. What remains begins with a user's message, unless all
    /// remain; so the results of a tool are never there without their call. Where the request itself brings such
    /// results, the exchange goes along even if it is too long: without it no provider would take them.
    pub(super) fn cut(&self, past: &[Past], is_all: bool, room: Room) -> Cut {
        let (mut tokens, mut bytes) = (room.base, 0_usize);
        // The longest that may be, and of those that fit.
        let (mut shortest, mut longest_fitting) = (None, None);
        let last = past.len();
        if !self.answers_tool || last == 0 && is_all {
            (shortest, longest_fitting) = (Some(last), Some(last));
        }
        for (at, turn) in past.iter().enumerate().rev() {
            tokens = tokens.saturating_add(turn.tokens);
            bytes = bytes.saturating_add(turn.messages.len());
            let fits = tokens <= room.tokens && bytes <= CONTEXT_BYTES;
            if turn.may_begin || is_all && at == 0 {
                shortest = shortest.or(Some(at));
                longest_fitting = if fits { Some(at) } else { longest_fitting };
            }
            if let Some(shortest) = shortest.filter(|_| !fits) {
                return Cut::At(longest_fitting.unwrap_or(shortest));
            }
        }
        if is_all { Cut::At(longest_fitting.or(shortest).unwrap_or(0)) } else { Cut::Further }
    }

    /// The body with what goes along in it, without `conversation_id`. All else is as it came.
    pub(super) fn assemble(&self, instructions: Option<&str>, past: &[Past]) -> Bytes {
        let mut messages = joined(&self.leading);
        if let Some(instructions) = instructions.filter(|_| !self.is_instructed()) {
            messages = instruction(instructions);
        }
        for turn in past {
            append(&mut messages, inner(&turn.messages));
        }
        append(&mut messages, &self.kept());
        let mut body = String::with_capacity(messages.len() + 512);
        for (name, value) in &self.members.0 {
            if name == "conversation_id" {
                continue;
            }
            body.push(if body.is_empty() { '{' } else { ',' });
            body.push_str(&json!(name).to_string());
            body.push(':');
            if name == "messages" {
                body.extend(["[", &messages, "]"]);
            } else {
                body.push_str(value.get());
            }
        }
        body.push('}');
        body.into()
    }
}

impl Past {
    /// `messages`: a JSON array of messages, as it is kept.
    pub(super) fn new(messages: String) -> Self {
        let first: Vec<&RawValue> = serde_json::from_str(&messages).unwrap_or_default();
        let may_begin = first.first().is_some_and(|first| role(first) == "user");
        Self { tokens: messages_tokens(messages.as_bytes()), may_begin, messages }
    }

    /// About so many tokens.
    pub(super) fn tokens(&self) -> u32 {
        self.tokens
    }
}

/// A system message, as JSON.
fn instruction(text: &str) -> String {
    json!({ "role": "system", "content": text }).to_string()
}

/// About how many tokens instructions have.
pub(super) fn instruction_tokens(text: &str) -> u32 {
    messages_tokens(format!("[{}]", instruction(text)).as_bytes())
}

fn joined(messages: &[&RawValue]) -> String {
    messages.iter().map(|message| message.get()).collect::<Vec<_>>().join(",")
}

/// The elements of an array as it is written.
fn inner(array: &str) -> &str {
    let array = array.trim();
    array.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().trim()
}

fn append(list: &mut String, more: &str) {
    if !list.is_empty() && !more.is_empty() {
        list.push(',');
    }
    list.push_str(more);
}
