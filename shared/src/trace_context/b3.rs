//! B3, Zipkin's propagation, in one field or in several (<https://github.com/openzipkin/b3-propagation>).
//!
//! Ids of traces have 64 or 128 bits; those of 64 are widened with zeros, as the specification advises. A decision alone
//! (`b3: 0`) names no trace, so that there is none to continue. The debug flag is taken as `1`, which is all that W3C's flags
//! can say, and goes on as that.

use super::{SpanId, TraceContext, TraceFlags, TraceId, TraceParent, TraceState};

/// The single field.
pub const B3: &str = "b3";
/// The several fields.
pub const TRACE_ID: &str = "x-b3-traceid";
/// Of the caller's span.
pub const SPAN_ID: &str = "x-b3-spanid";
/// `1` or `0`; early writers have `true` and `false`.
pub const SAMPLED: &str = "x-b3-sampled";
/// `1`: record by all means.
pub const FLAGS: &str = "x-b3-flags";

/// Reads the single field: `{trace}-{span}`, `{trace}-{span}-{decision}` or `{trace}-{span}-{decision}-{parent}`.
#[must_use]
pub fn read_single(field: &str) -> Option<TraceContext> {
    let mut parts = field.trim_matches([' ', '\t']).split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = match parts.next() {
        None | Some("1" | "d") => true,
        Some("0") => false,
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        SpanId::from_hex(parent.as_bytes())?;
    }
    if parts.next().is_some() {
        return None;
    }
    context(trace, span, sampled)
}

/// Reads the several fields, each `None` where it is absent. A decision that is left to us is one to record.
#[must_use]
pub fn read_multi(
    trace: Option<&str>,
    span: Option<&str>,
    sampled: Option<&str>,
    flags: Option<&str>,
) -> Option<TraceContext> {
    let is_debug = flags == Some("1");
    let sampled = match sampled {
        None | Some("1" | "true") => true,
        Some("0" | "false") => is_debug,
        Some(_) => return None,
    };
    context(trace?, span?, sampled)
}

/// Writes the single field.
#[must_use]
pub fn write_single(parent: &TraceParent) -> String {
    format!("{}-{}-{}", parent.trace_id, parent.span_id, u8::from(parent.flags.sampled))
}

/// Writes the several fields.
#[must_use]
pub fn write_multi(parent: &TraceParent) -> [(&'static str, String); 3] {
    [
        (TRACE_ID, parent.trace_id.to_string()),
        (SPAN_ID, parent.span_id.to_string()),
        (SAMPLED, u8::from(parent.flags.sampled).to_string()),
    ]
}

fn context(trace: &str, span: &str, sampled: bool) -> Option<TraceContext> {
    let trace_id = match trace.len() {
        32 => TraceId::from_hex(trace.as_bytes()),
        16 => TraceId::from_hex(format!("{trace:0>32}").as_bytes()),
        _ => None,
    };
    Some(TraceContext {
        // How the id was made is not said.
        parent: TraceParent {
            trace_id: trace_id?,
            span_id: SpanId::from_hex(span.as_bytes())?,
            flags: TraceFlags { sampled, random: false },
        },
        state: TraceState::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn single(field: &str) -> Option<String> {
        read_single(field).map(|context| context.parent.to_string())
    }

    #[test]
    fn the_single_field_has_two_to_four_parts() {
        for (rest, flags) in [("", "01"), ("-1", "01"), ("-d", "01"), ("-0", "00"), ("-1-05e3ac9a4f6e3b90", "01")] {
            assert_eq!(single(&format!("{TRACE}-{SPAN}{rest}")), Some(format!("00-{TRACE}-{SPAN}-{flags}")), "{rest}");
        }
        let short = format!("00-0000000000000000{}-{SPAN}-01", &TRACE[16..]);
        assert_eq!(single(&format!(" {}-{SPAN}-1\t", &TRACE[16..])), Some(short));
    }

    #[test]
    fn what_is_none_is_not_read() {
        let wrong = [
            String::new(),
            "0".to_owned(),
            "d".to_owned(),
            TRACE.to_owned(),
            format!("{TRACE}-{SPAN}-2"),
            format!("{TRACE}-{SPAN}-"),
            format!("{TRACE}-{SPAN}-1-05e3"),
            format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-1"),
            format!("{}-{SPAN}-1", &TRACE[1..]),
            format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            format!("{}-{SPAN}-1", "0".repeat(32)),
            format!("{TRACE}-{}-1", "0".repeat(16)),
            format!("{TRACE}-{}-1", &SPAN[1..]),
            format!("{TRACE}-{SPAN}-1,{TRACE}-{SPAN}-1"),
        ];
        for field in wrong {
            assert_eq!(single(&field), None, "{field}");
        }
    }

    #[test]
    fn the_several_fields_are_one_context() {
        let read = |sampled, flags| {
            read_multi(Some(TRACE), Some(SPAN), sampled, flags).map(|context| context.parent.flags.sampled)
        };
        assert_eq!(read(None, None), Some(true));
        assert_eq!((read(Some("1"), None), read(Some("true"), None)), (Some(true), Some(true)));
        assert_eq!((read(Some("0"), None), read(Some("false"), None)), (Some(false), Some(false)));
        assert_eq!(read(Some("0"), Some("1")), Some(true));
        assert_eq!(read(Some("yes"), None), None);
        assert_eq!(read_multi(None, Some(SPAN), None, None), None);
        assert_eq!(read_multi(Some(TRACE), None, None, None), None);
    }

    #[test]
    fn written_fields_are_read_back() {
        let context = read_single(&format!("{TRACE}-{SPAN}-0")).unwrap();
        assert_eq!(write_single(&context.parent), format!("{TRACE}-{SPAN}-0"));
        assert_eq!(read_single(&write_single(&context.parent)), Some(context.clone()));
        let [(_, trace), (_, span), (_, sampled)] = write_multi(&context.parent);
        assert_eq!(read_multi(Some(&trace), Some(&span), Some(&sampled), None), Some(context));
    }
}
