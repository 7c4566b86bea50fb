//! W3C Trace Context, level 2 (<https://www.w3.org/TR/trace-context-2/>), and B3 by choice: the one propagator of edge and
//! backend.
//!
//! Where the text of the recommendation and its official test suite differ (keys with `@`), the stricter suite is
//! followed: see `docs/decisions/0003-trace-context.md`.

pub mod b3;
mod formats;
mod traceparent;
mod tracestate;

pub use formats::{Format, Formats, UnknownFormat};
pub use traceparent::{InvalidTraceParent, SpanId, TraceFlags, TraceId, TraceParent};
pub use tracestate::{InvalidTraceState, TraceState};

/// What a hop learns from its caller and hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace, the caller's span, flags.
    pub parent: TraceParent,
    /// Vendors' state; empty when absent or invalid.
    pub state: TraceState,
}

impl TraceContext {
    /// Reads the context of a request from its header fields, each given once per occurrence, in order.
    ///
    /// `None` means: start a new trace. Then `tracestate` is dropped too, as the recommendation wants. An invalid
    /// `tracestate` is dropped alone.
    pub fn extract<'a>(
        traceparent: impl IntoIterator<Item = &'a str>,
        tracestate: impl IntoIterator<Item = &'a str>,
    ) -> Option<Self> {
        let mut fields = traceparent.into_iter();
        let parent = TraceParent::parse(fields.next()?).ok()?;
        if fields.next().is_some() {
            return None;
        }
        let state = TraceState::parse(tracestate).unwrap_or_default();
        Some(Self { parent, state })
    }

    /// The context that this hop hands on: same trace and state, its own span as the parent.
    #[must_use]
    pub fn child(&self, span: SpanId) -> Self {
        Self { parent: TraceParent { span_id: span, ..self.parent }, state: self.state.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    #[test]
    fn two_traceparents_start_a_new_trace() {
        assert_eq!(TraceContext::extract([PARENT, PARENT], []), None);
        // HTTP stacks may join repeated fields with a comma.
        assert_eq!(TraceContext::extract([format!("{PARENT}, {PARENT}").as_str()], []), None);
    }

    #[test]
    fn tracestate_without_traceparent_is_dropped() {
        assert_eq!(TraceContext::extract([], ["foo=1"]), None);
    }

    #[test]
    fn an_invalid_tracestate_keeps_the_trace() {
        let context = TraceContext::extract([PARENT], ["foo=1,foo=2"]).unwrap();
        assert_eq!(context.parent.to_string(), PARENT);
        assert!(context.state.is_empty());
    }

    #[test]
    fn a_child_keeps_trace_flags_and_state() {
        let context = TraceContext::extract([PARENT], ["foo=1"]).unwrap();
        let child = context.child(SpanId::from_bytes([1; 8]).unwrap());
        assert_eq!(child.parent.to_string(), "00-12345678901234567890123456789012-0101010101010101-01");
        assert_eq!(child.state.to_string(), "foo=1");
    }
}
