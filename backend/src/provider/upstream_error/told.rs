//! What an upstream says about its error.
//!
//! All families have a member `error` with a message; what else is in it differs, but under different names, so that
//! one reader serves all: OpenAI's `type`, `code`, `param`; Anthropic's `type`
//! (<https://docs.anthropic.com/en/api/errors>); Google's `status` and typed `details` (<https://google.aip.dev/193>).

use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{ports::UpstreamDetail, provider::retry_after};

/// Most characters of an upstream's message that a client gets.
const MESSAGE_CHARACTERS: usize = 500;
/// Most characters of its other members that go to the log.
const DETAIL_CHARACTERS: usize = 64;

/// What can be read of an error.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// For the client, bounded.
    pub(super) message: Option<String>,
    /// For the log, bounded.
    pub(super) detail: UpstreamDetail,
    /// Seconds, where the body says it.
    pub(super) retry_after: Option<u32>,
}

#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    param: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

impl Told {
    /// Reads the body of an answer whose status is that of an error.
    pub(super) fn of_body(body: &[u8]) -> Self {
        std::str::from_utf8(body).map(read_body).unwrap_or_default()
    }

    /// Reads the error in a body or an event that should be an answer; `None` where there is none.
    pub(super) fn in_answer(body: &[u8]) -> Option<Self> {
        // Answers are parsed a second time only when the word is in them at all.
        memmem::find(body, b"\"error\"")?;
        let wire: Envelope<'_> = serde_json::from_slice(body).ok()?;
        let error = wire.error.filter(|error| error.get() != "null")?;
        Some(read(error.get()))
    }
}

fn read_body(body: &str) -> Told {
    // Google's answer to a stream is a list with the error in it, where no events were asked for.
    let list: Option<Vec<&RawValue>> = serde_json::from_str(body).ok();
    let body = list.and_then(|list| list.first().map(|first| first.get())).unwrap_or(body);
    let envelope: Envelope<'_> = serde_json::from_str(body).unwrap_or_default();
    // Some servers have the members themselves at the top.
    read(envelope.error.map_or(body, RawValue::get))
}

/// Reads the member `error`.
fn read(error: &str) -> Told {
    // Some servers send a text in place of the object.
    if let Ok(message) = serde_json::from_str::<String>(error) {
        return Told { message: Some(bounded(&message, MESSAGE_CHARACTERS)), ..Told::default() };
    }
    let wire: Wire<'_> = serde_json::from_str(error).unwrap_or_default();
    let details: Vec<Value> = wire.details.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let typed = |name: &str, pointer: &str| {
        let is_it = |detail: &&Value| detail["@type"].as_str().is_some_and(|kind| kind.ends_with(name));
        details.iter().find(is_it)?.pointer(pointer)?.as_str()
    };
    let text = |member: Option<&RawValue>| {
        let raw = member.filter(|raw| raw.get() != "null")?.get();
        // Codes are numbers at some servers.
        let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        word(&text)
    };
    let typed_text = |name, pointer| typed(name, pointer).and_then(word);
    let message = wire.message.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    Told {
        message: message.map(|message| bounded(&message, MESSAGE_CHARACTERS)),
        detail: UpstreamDetail {
            kind: text(wire.kind).or_else(|| text(wire.status)),
            code: typed_text("google.rpc.ErrorInfo", "/reason").or_else(|| text(wire.code)),
            param: text(wire.param).or_else(|| typed_text("google.rpc.BadRequest", "/fieldViolations/0/field")),
        },
        retry_after: typed("google.rpc.RetryInfo", "/retryDelay").and_then(retry_after::of_duration),
    }
}

fn bounded(text: &str, characters: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(characters).collect()
}

/// A text that is a name or the path of a member, bounded; any other may repeat what was asked, and is left out.
fn word(text: &str) -> Option<String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_part)).then(|| bounded(text, DETAIL_CHARACTERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_may_stand_in_an_error_body() {
        for body in
            ["", "<html>", "null", "[]", "[1]", r#"{"error":null}"#, r#"{"error":[]}"#, r#"{"error":{"message":1}}"#]
        {
            assert_eq!(Told::of_body(body.as_bytes()).message, None, "{body}");
        }
        assert_eq!(Told::of_body(b"\xff").message, None);
        assert_eq!(read(r#""just text""#).message.as_deref(), Some("just text"));
        let long = read(&format!(r#"{{"message":"\u0007{}"}}"#, "x".repeat(10_000)));
        assert_eq!(long.message.unwrap().len(), MESSAGE_CHARACTERS);
    }

    #[test]
    fn only_names_go_to_the_log() {
        let detail =
            read(r#"{"type":"invalid_request_error","code":"my card is 4111 1111","param":"messages[2].content"}"#)
                .detail;
        assert_eq!((detail.kind.as_deref(), detail.code), (Some("invalid_request_error"), None));
        assert_eq!(detail.param.as_deref(), Some("messages[2].content"));
        let long = read(&format!(r#"{{"type":"{}","param":"me@example.org"}}"#, "x".repeat(100))).detail;
        assert_eq!((long.kind.unwrap().len(), long.param), (DETAIL_CHARACTERS, None));
    }
}
