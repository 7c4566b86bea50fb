//! Answers of an upstream that are no success, sorted by whose fault they are.

use http::{HeaderMap, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ports::{ProviderError, UpstreamDetail};

/// Most characters of an upstream's message that a client gets.
const MESSAGE_CHARACTERS: usize = 500;
/// Most characters of its other members that go to the log.
const DETAIL_CHARACTERS: usize = 64;
/// Seconds to wait when an overloaded upstream does not say how long.
const DEFAULT_RETRY_AFTER: u32 = 1;

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
}

/// Sorts an answer whose status is not 2xx.
pub(super) fn classify(status: u16, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let envelope: Envelope<'_> = serde_json::from_slice(body).unwrap_or_default();
    let (message, detail) = envelope.error.map_or_else(Default::default, |error| read(error.get()));
    match status {
        400 | 413 | 422 => ProviderError::Rejected { status, message, detail },
        401 | 403 => ProviderError::Unauthorized { status, detail },
        429 => ProviderError::Overloaded { retry_after: retry_after(headers), detail },
        _ => ProviderError::Status { status, detail },
    }
}

/// Reads the member `error`, of an answer or of a chunk.
pub(super) fn read(error: &str) -> (Option<String>, UpstreamDetail) {
    // Some servers send a text in place of the object.
    if let Ok(message) = serde_json::from_str::<String>(error) {
        return (Some(bounded(&message, MESSAGE_CHARACTERS)), UpstreamDetail::default());
    }
    let wire: Wire<'_> = serde_json::from_str(error).unwrap_or_default();
    let text = |member: Option<&RawValue>| {
        let raw = member?.get();
        // Codes are numbers at some servers.
        Some(serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned()))
    };
    let detail = |member| text(member).map(|text| bounded(&text, DETAIL_CHARACTERS));
    let message = wire.message.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    (
        message.map(|message| bounded(&message, MESSAGE_CHARACTERS)),
        UpstreamDetail { kind: detail(wire.kind), code: detail(wire.code), param: detail(wire.param) },
    )
}

fn bounded(text: &str, characters: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(characters).collect()
}

/// Only seconds are understood; the form of a date is rare, and needs a clock that agrees.
fn retry_after(headers: &HeaderMap) -> u32 {
    let value = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_RETRY_AFTER)
}

/// What a body says that has a success's status but an error in place of an answer, whole or as a chunk.
pub(super) fn reported(body: &[u8]) -> Option<UpstreamDetail> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    const MEMBER: &[u8] = b"\"error\"";
    // Answers are parsed a second time only when the word is in them at all.
    if !body.windows(MEMBER.len()).any(|window| window == MEMBER) {
        return None;
    }
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let error = wire.error.filter(|error| error.get() != "null")?;
    Some(read(error.get()).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        br#"{"error":{"message":"Unknown parameter: 'x'","type":"invalid_request_error","code":7,"param":"x"}}"#;

    #[test]
    fn statuses_are_sorted_by_fault() {
        let classify = |status| classify(status, &HeaderMap::new(), BODY);
        for status in [400, 413, 422] {
            let ProviderError::Rejected { message, detail, .. } = classify(status) else { panic!("{status}") };
            assert_eq!(message.as_deref(), Some("Unknown parameter: 'x'"));
            assert_eq!((detail.code.as_deref(), detail.param.as_deref()), (Some("7"), Some("x")));
        }
        for status in [401, 403] {
            assert!(matches!(classify(status), ProviderError::Unauthorized { .. }), "{status}");
        }
        // The path and the model are the gateway's choice, so that 404 is no fault of the client.
        for status in [302, 307, 402, 404, 500, 503] {
            assert!(matches!(classify(status), ProviderError::Status { .. }), "{status}");
        }
    }

    #[test]
    fn an_overloaded_upstream_says_how_long_to_wait() {
        for (value, seconds) in [(None, 1), (Some("7"), 7), (Some("Wed, 21 Oct 2026 07:28:00 GMT"), 1)] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(RETRY_AFTER, value.parse().unwrap());
            }
            let error = classify(429, &headers, b"");
            assert!(matches!(error, ProviderError::Overloaded { retry_after, .. } if retry_after == seconds));
        }
    }

    #[test]
    fn anything_may_stand_in_an_error_body() {
        for body in
            [&b""[..], b"<html>", b"null", br#"{"error":null}"#, br#"{"error":[]}"#, br#"{"error":{"message":1}}"#]
        {
            let ProviderError::Rejected { message, .. } = classify(400, &HeaderMap::new(), body) else { panic!() };
            assert_eq!(message, None);
        }
        let (message, _) = read(r#""just text""#);
        assert_eq!(message.as_deref(), Some("just text"));
        let (message, _) = read(&format!(r#"{{"message":"\u0007{}"}}"#, "x".repeat(10_000)));
        assert_eq!(message.unwrap().len(), MESSAGE_CHARACTERS);
    }

    #[test]
    fn an_error_in_place_of_an_answer_is_seen() {
        let detail = reported(br#"{"error":{"message":"overloaded","type":"server_error"}}"#).unwrap();
        assert_eq!(detail.kind.as_deref(), Some("server_error"));
        for answer in
            [&br#"{"choices":[],"error":null}"#[..], br#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, b"{}"]
        {
            assert_eq!(reported(answer), None);
        }
    }

    #[test]
    fn the_log_never_repeats_the_message() {
        let error = classify(400, &HeaderMap::new(), br#"{"error":{"message":"prompt: secret"}}"#);
        assert!(!crate::monitoring::chain(&error).contains("secret"));
    }
}
