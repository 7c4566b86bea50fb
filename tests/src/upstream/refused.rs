//! What a real server would not take.

use serde_json::{Map, Value};

/// Why a request is refused, before it is put into a family's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Status code.
    pub(super) status: u16,
    /// What the family's error says.
    pub(super) message: String,
    /// The field that is at fault, where the family's error names one.
    pub(super) field: Option<String>,
}

impl Refused {
    /// 400 for a field.
    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), field: Some(field.into()) }
    }

    /// 400 for the request as a whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self::status(400, message)
    }

    /// Any status.
    pub(super) fn status(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), field: None }
    }
}

/// The first member that is not among `known`.
pub(super) fn unknown_member<'a>(object: &'a Map<String, Value>, known: &[&str]) -> Option<&'a str> {
    object.keys().map(String::as_str).find(|name| !known.contains(name))
}
