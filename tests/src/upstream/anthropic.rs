//! Anthropic's wire format: messages.
//!
//! <https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/docs/build-with-claude/streaming>,
//! <https://docs.anthropic.com/en/api/errors>

mod answer;
mod blocks;
mod generation;
mod request;

use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

pub(super) use self::answer::{MESSAGE_STOP, answer, event, finish_events, text_events};
use super::{friendly::Whole, refused::Refused};

/// What a request may hold depends on this field of its head: <https://platform.claude.com/docs/en/api/versioning>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `2023-06-01`
    Of2023,
    /// `2026-10-21`, which the official SDKs name from version 2 (Python) and 1 (Node) on: no sampling parameters.
    Of2026,
}

impl Version {
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let mut versions = headers.get_all("anthropic-version").iter();
        match versions.next().map(HeaderValue::as_bytes) {
            Some(_) if versions.next().is_some() => Err(Refused::whole("anthropic-version: is given twice")),
            Some(b"2023-06-01") => Ok(Self::Of2023),
            Some(b"2026-10-21") => Ok(Self::Of2026),
            Some(_) => Err(Refused::whole("anthropic-version: is not a valid version")),
            None => Err(Refused::whole("anthropic-version: header is required")),
        }
    }
}

/// A message for `body`.
pub(super) fn messages(body: &Map<String, Value>, headers: &HeaderMap) -> Result<Whole, Refused> {
    Ok(answer(&request::read(body, Version::of(headers)?)?))
}

/// The key: in `x-api-key`, or as a bearer, as those SDKs have it.
pub(super) fn authenticate(headers: &HeaderMap) -> Result<(), Refused> {
    let bearer = headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    if bearer || headers.get("x-api-key").is_some_and(|key| !key.is_empty()) {
        return Ok(());
    }
    Err(Refused::status(401, "x-api-key header is required"))
}

/// The body of an error.
pub(super) fn error_body(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream_of_the_tests"})
}
