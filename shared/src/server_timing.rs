//! The `server-timing` header (W3C Server Timing): where the time went, and in which trace to look.
//!
//! `trace;desc="00-…-…-01", edge;dur=1.2, backend;dur=3.4, provider;dur=5.6`, durations in milliseconds up to the
//! head of the answer.

use crate::trace_context::TraceParent;

/// Builds the header entry by entry, in the order of the calls.
#[derive(Debug, Default)]
pub struct ServerTiming(String);

impl ServerTiming {
    /// Names the trace, and the span of the hop that answers.
    #[must_use]
    pub fn trace(self, parent: &TraceParent) -> Self {
        self.entry(&format!("trace;desc=\"{parent}\""))
    }

    /// Adds a duration in milliseconds; one decimal is kept.
    #[must_use]
    pub fn duration(self, name: &str, millis: f64) -> Self {
        // By hand: what formats numbers of any precision is large, and this is compiled to WebAssembly.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast keeps within bounds")]
        let tenths = (millis * 10.0).round() as u64;
        self.entry(&format!("{name};dur={}.{}", tenths / 10, tenths % 10))
    }

    /// Adds what a hop further in has said, unless it is empty.
    #[must_use]
    pub fn append(self, inner: &str) -> Self {
        if inner.trim().is_empty() { self } else { self.entry(inner) }
    }

    fn entry(mut self, entry: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(entry);
        self
    }

    /// The header's value.
    #[must_use]
    pub fn into_value(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_order() {
        let parent = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let value = ServerTiming::default().trace(&parent).duration("edge", 1.26).append("backend;dur=3.0").append("");
        assert_eq!(
            value.into_value(),
            "trace;desc=\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\", edge;dur=1.3, backend;dur=3.0"
        );
    }
}
