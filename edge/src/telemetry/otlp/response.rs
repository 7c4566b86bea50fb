//! What a collector says of an export that it took.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::otlp::Protocol;

/// What a collector that answered with success did not take after all, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Items that it rejected.
    pub rejected: u64,
    /// What it says about them, or a warning where nothing was rejected. At most 256 characters.
    pub message: String,
}

impl PartialSuccess {
    /// Reads the body of an answer in the format of the request. What cannot be read says nothing: the status counts.
    #[must_use]
    pub fn read(protocol: Protocol, body: &[u8]) -> Self {
        match protocol {
            Protocol::Protobuf => protobuf(body),
            Protocol::Json => json(body),
        }
        .unwrap_or_default()
    }

    fn new(rejected: i64, message: &str) -> Self {
        Self { rejected: u64::try_from(rejected).unwrap_or(0), message: message.chars().take(256).collect() }
    }
}

fn protobuf(body: &[u8]) -> Option<PartialSuccess> {
    let (mut rejected, mut message) = (0, "");
    for_each_field(body, |number, value| {
        if let (1, Value::Bytes(partial)) = (number, value) {
            for_each_field(partial, |number, value| match (number, value) {
                (1, Value::Number(number)) => {
                    rejected = number.cast_signed();
                    Some(())
                }
                (2, Value::Bytes(text)) => {
                    message = std::str::from_utf8(text).ok()?;
                    Some(())
                }
                _ => Some(()),
            })?;
        }
        Some(())
    })?;
    Some(PartialSuccess::new(rejected, message))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// `None` when it is not protobuf, or `take` does not like a field.
fn for_each_field<'a>(mut message: &'a [u8], mut take: impl FnMut(u64, Value<'a>) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => bytes(&mut message, 8).map(|_| Value::Other)?,
            2 => {
                let length = varint(&mut message)?;
                Value::Bytes(bytes(&mut message, usize::try_from(length).ok()?)?)
            }
            5 => bytes(&mut message, 4).map(|_| Value::Other)?,
            _ => return None,
        };
        take(tag >> 3, value)?;
    }
    Some(())
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes(message, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn bytes<'a>(message: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(count)?;
    *message = rest;
    Some(taken)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    partial_success: Option<Partial<'a>>,
}

/// The count is a number or, as OTLP writes 64-bit integers, a string.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial<'a> {
    #[serde(borrow, alias = "rejectedDataPoints", alias = "rejectedLogRecords")]
    rejected_spans: Option<&'a RawValue>,
    error_message: Option<String>,
}

fn json(body: &[u8]) -> Option<PartialSuccess> {
    let partial = serde_json::from_slice::<Wire<'_>>(body).ok()?.partial_success?;
    let rejected = partial.rejected_spans.and_then(|number| number.get().trim_matches('"').parse().ok());
    Some(PartialSuccess::new(rejected.unwrap_or(0), &partial.error_message.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse},
        trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
    };
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn expected(rejected: u64, message: &str) -> PartialSuccess {
        PartialSuccess { rejected, message: message.to_owned() }
    }

    proptest! {
        #[test]
        fn what_collectors_say_is_understood(rejected in 0..i64::MAX, message in "[^\0]{0,256}") {
            let error_message = message.clone();
            let traces = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message }),
            };
            let expected = expected(rejected.cast_unsigned(), &message);
            prop_assert_eq!(&PartialSuccess::read(Protocol::Protobuf, &traces.encode_to_vec()), &expected);
            let json = serde_json::to_vec(&traces).unwrap();
            prop_assert_eq!(&PartialSuccess::read(Protocol::Json, &json), &expected);
        }

        #[test]
        fn garbage_says_nothing_and_hurts_nobody(body: Vec<u8>, text: String) {
            let _ = PartialSuccess::read(Protocol::Protobuf, &body);
            let _ = PartialSuccess::read(Protocol::Json, &body);
            let _ = PartialSuccess::read(Protocol::Json, text.as_bytes());
        }
    }

    #[test]
    fn all_signals_are_understood_in_json() {
        let metrics = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "m".into() }),
        };
        let logs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "l".into() }),
        };
        let read = |json: &[u8]| PartialSuccess::read(Protocol::Json, json);
        assert_eq!(read(&serde_json::to_vec(&metrics).unwrap()), expected(2, "m"));
        assert_eq!(read(&serde_json::to_vec(&logs).unwrap()), expected(3, "l"));
        assert_eq!(read(br#"{"partialSuccess":{"rejectedSpans":"7"}}"#), expected(7, ""));
        assert_eq!(read(br#"{"partialSuccess":{"rejectedSpans":"-7"}}"#), expected(0, ""));
        for nothing in [&b""[..], b"{}", b"[]", br#"{"partialSuccess":null}"#, br#"{"partialSuccess":{}}"#] {
            assert_eq!(read(nothing), PartialSuccess::default());
        }
    }

    #[test]
    fn a_cut_answer_says_nothing() {
        let body = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: "because".into() }),
        }
        .encode_to_vec();
        for end in 1..body.len() {
            assert_eq!(PartialSuccess::read(Protocol::Protobuf, &body[..end]), PartialSuccess::default());
        }
    }
}
