//! The shared propagator as OpenTelemetry's: for libraries that ask its global one.

use goblin_shared::{
    baggage::Baggage,
    headers::{BAGGAGE, TRACESTATE},
    trace_context::{
        Formats, SpanId as OwnSpanId, TraceContext, TraceFlags as OwnFlags, TraceId as OwnTraceId, TraceParent,
        TraceState as OwnState,
    },
};
use opentelemetry::{
    Context,
    baggage::{BaggageExt, KeyValueMetadata},
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::propagation::BaggagePropagator;

/// The flag of level 2, which the SDK does not name.
const RANDOM: u8 = 0b10;

/// Reads and writes the forms that the configuration names.
#[derive(Debug)]
pub(super) struct Propagator {
    formats: Formats,
    names: Vec<String>,
}

impl Propagator {
    pub(super) fn new(formats: Formats) -> Self {
        let names = formats.names().map(str::to_owned).collect();
        Self { formats, names }
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if let Some(parent) = parent_of(context.span().span_context(), false) {
            for (name, value) in self.formats.inject(&parent) {
                injector.set(name, value);
            }
            // It belongs to `traceparent`; B3 has nothing like it.
            let state = OwnState::parse([context.span().span_context().trace_state().header().as_str()]);
            let state = state.map(|state| state.bounded()).unwrap_or_default();
            if self.names.iter().any(|name| name == TRACESTATE) && !state.is_empty() {
                injector.set(TRACESTATE, state);
            }
        }
        if self.formats.hand_on_baggage() {
            BaggagePropagator::new().inject_context(context, injector);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let fields = |name: &str| extractor.get_all(name).unwrap_or_default();
        let caller = self.formats.extract(fields);
        let context =
            caller.map_or_else(|| context.clone(), |caller| context.with_remote_span_context(remote(&caller)));
        let fields = if self.formats.hand_on_baggage() { fields(BAGGAGE) } else { Vec::new() };
        let baggage = Baggage::parse(fields);
        if baggage.is_empty() {
            return context;
        }
        context.with_baggage(baggage.members().map(|member| {
            let properties = member.properties().collect::<Vec<_>>().join(";");
            KeyValueMetadata::new(member.key.to_owned(), member.value().into_owned(), properties)
        }))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.names)
    }
}

/// A caller's span as the SDK has it.
pub(super) fn remote(caller: &TraceContext) -> SpanContext {
    let parent = caller.parent;
    // The SDK's own check of `tracestate` is stricter in places; the trace is worth more than the state.
    let state = TraceState::from_key_value(caller.state.members()).unwrap_or_default();
    SpanContext::new(
        TraceId::from_bytes(parent.trace_id.to_bytes()),
        SpanId::from_bytes(parent.span_id.to_bytes()),
        TraceFlags::new(parent.flags.bits()),
        true,
        state,
    )
}

/// A span of the SDK's as others are told of it; `None`: it is none. The SDK has no notion of the random flag for traces
/// that it starts, so who knows says whether the id is random.
pub(super) fn parent_of(span: &SpanContext, random: bool) -> Option<TraceParent> {
    let random = random || span.trace_flags().to_u8() & RANDOM != 0;
    Some(TraceParent {
        trace_id: OwnTraceId::from_bytes(span.trace_id().to_bytes())?,
        span_id: OwnSpanId::from_bytes(span.span_id().to_bytes())?,
        flags: OwnFlags { sampled: span.is_sampled(), random },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-03";

    /// A head with fields that are there several times.
    struct Head(Vec<(&'static str, &'static str)>);

    impl Extractor for Head {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
        }

        fn keys(&self) -> Vec<&str> {
            self.0.iter().map(|(name, _)| *name).collect()
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            Some(self.0.iter().filter(|(name, _)| *name == key).map(|(_, value)| *value).collect())
        }
    }

    fn propagator(formats: &str) -> Propagator {
        Propagator::new(Formats::parse(formats).unwrap())
    }

    #[test]
    fn a_context_goes_in_and_out_again() {
        let head =
            Head(vec![("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", ""), ("tracestate", "b=2")]);
        let context = propagator("tracecontext").extract(&head);
        let span = context.span().span_context().clone();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(span.trace_state().header(), "a=1,b=2");
        let mut written = HashMap::new();
        propagator("tracecontext,b3").inject_context(&context, &mut written);
        assert_eq!(written["traceparent"], PARENT);
        assert_eq!(written["b3"], "12345678901234567890123456789012-1234567890123456-1");
        assert_eq!(written["tracestate"], "a=1,b=2");
        let mut written = HashMap::new();
        propagator("b3").inject_context(&context, &mut written);
        assert_eq!(written.len(), 1, "{written:?}");
    }

    #[test]
    fn without_a_trace_nothing_goes_anywhere() {
        let twice = Head(vec![("traceparent", PARENT), ("traceparent", PARENT)]);
        let context = propagator("tracecontext").extract(&twice);
        assert!(!context.span().span_context().is_valid());
        let mut written = HashMap::new();
        propagator("tracecontext,b3multi").inject_context(&context, &mut written);
        assert!(written.is_empty(), "{written:?}");
    }

    #[test]
    fn baggage_goes_in_and_out_again_with_or_without_a_trace() {
        let head = Head(vec![("baggage", "a=1%2C2;p=q;r,b=2"), ("baggage", "c=3,not a member")]);
        let context = propagator("baggage").extract(&head);
        assert_eq!(context.baggage().get("a").map(opentelemetry::StringValue::as_str), Some("1,2"));
        let mut written = HashMap::new();
        propagator("tracecontext,baggage").inject_context(&context, &mut written);
        let mut members: Vec<_> = written["baggage"].split(',').map(str::trim).collect();
        members.sort_unstable();
        assert_eq!(members, ["a=1%2C2;p=q;r", "b=2", "c=3"]);
        assert!(propagator("tracecontext").extract(&head).baggage().is_empty());
        let mut written = HashMap::new();
        propagator("tracecontext").inject_context(&context, &mut written);
        assert!(written.is_empty(), "{written:?}");
    }

    #[test]
    fn its_fields_are_those_that_it_reads() {
        let all = propagator("tracecontext,baggage");
        assert_eq!(all.fields().collect::<Vec<_>>(), ["traceparent", "tracestate", "baggage"]);
        assert_eq!(propagator("none").fields().count(), 0);
    }
}
