//! Spans on their way out: through a bounded queue, without what must not leave.

use std::{borrow::Cow, time::Duration};

use goblin_shared::privacy::may_identify;
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{SpanContext, Status, TraceState},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

use super::{
    FLUSH_WITHIN,
    batch::{Queue, Sink},
    redaction::{redact, redact_named},
};

/// Takes spans as they end.
#[derive(Debug)]
pub(super) struct SpanQueue(pub(super) Queue<SpanData>);

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush(FLUSH_WITHIN)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.close(timeout)
    }
}

/// Sends them.
pub(super) struct SpanSink<E>(pub(super) E);

impl<E: SpanExporter + 'static> Sink<SpanData> for SpanSink<E> {
    fn send(&mut self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(redact_span);
        futures_executor::block_on(self.0.export(batch))
    }

    fn close(&mut self) {
        // What cannot be closed is closed with the process.
        let _ = self.0.shutdown_with_timeout(FLUSH_WITHIN);
    }
}

fn redact_span(span: &mut SpanData) {
    redact_state(span);
    redact_text(&mut span.name);
    redact_attributes(&mut span.attributes);
    for event in &mut span.events.events {
        redact_text(&mut event.name);
        redact_attributes(&mut event.attributes);
    }
    if let Status::Error { description } = &mut span.status {
        redact_text(description);
    }
}

/// What callers say of themselves goes on to whom they call, but not out of here if it says who they are.
fn redact_state(span: &mut SpanData) {
    let context = &span.span_context;
    if may_identify(&context.trace_state().header()) {
        span.span_context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags(),
            context.is_remote(),
            TraceState::default(),
        );
    }
}

fn redact_text(text: &mut Cow<'static, str>) {
    if let Cow::Owned(redacted) = redact(text) {
        *text = redacted.into();
    }
}

fn redact_attributes(attributes: &mut [KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        let redact = |text: &StringValue| match redact_named(key.as_str(), text.as_str()) {
            Cow::Owned(redacted) => Some(StringValue::from(redacted)),
            Cow::Borrowed(_) => None,
        };
        match value {
            Value::String(text) => *text = redact(text).unwrap_or_else(|| text.clone()),
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    *text = redact(text).unwrap_or_else(|| text.clone());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use opentelemetry::trace::{Span as _, SpanBuilder, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};

    use super::{
        super::{drops::Drops, metrics::Signal},
        *,
    };
    use crate::config::BatchConfig;

    const SETTINGS: BatchConfig = BatchConfig { queue: 100, batch: 10, delay: Duration::from_hours(1) };

    fn provider(exporter: impl SpanExporter + 'static, drops: Drops) -> SdkTracerProvider {
        let queue = Queue::start(Signal::Traces, SETTINGS, drops, SpanSink(exporter)).unwrap();
        SdkTracerProvider::builder().with_span_processor(SpanQueue(queue)).build()
    }

    #[test]
    fn spans_arrive_without_what_must_not_leave() {
        let exporter = InMemorySpanExporter::default();
        let provider = provider(exporter.clone(), Drops::default());
        let mut builder = SpanBuilder::from_name("to ann@example.org");
        builder.attributes = Some(vec![
            KeyValue::new("server.address", "192.0.2.9"),
            KeyValue::new("error.message", "from 192.0.2.7"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("many", Value::Array(Array::String(vec!["ann@example.org".into(), "b".into()]))),
        ]);
        let mut span = provider.tracer("test").build(builder);
        span.set_status(Status::error("no key sk-abcdefgh12345678"));
        span.add_event("by 192.0.2.8", vec![KeyValue::new("who", "ann@example.org")]);
        drop(span);
        provider.force_flush().unwrap();
        let spans = exporter.get_finished_spans().unwrap();
        let attributes: BTreeMap<_, _> =
            spans[0].attributes.iter().map(|one| (one.key.as_str(), one.value.to_string())).collect();
        assert_eq!(spans[0].name, "to [email]");
        assert_eq!(spans[0].status, Status::error("no key [secret]"));
        assert_eq!(spans[0].events[0].name, "by [ip]");
        assert_eq!(spans[0].events[0].attributes[0].value.as_str(), "[email]");
        assert_eq!(attributes["server.address"], "192.0.2.9");
        assert_eq!(attributes["error.message"], "from [ip]");
        assert_eq!(attributes["http.response.status_code"], "200");
        assert_eq!(attributes["many"], r#"["[email]","b"]"#);
    }

    #[test]
    fn spans_that_are_not_sampled_do_not_leave() {
        let exporter = InMemorySpanExporter::default();
        let queue = Queue::start(Signal::Traces, SETTINGS, Drops::default(), SpanSink(exporter.clone())).unwrap();
        let builder = SdkTracerProvider::builder().with_span_processor(SpanQueue(queue));
        let provider = builder.with_sampler(Sampler::AlwaysOff).build();
        drop(provider.tracer("test").start("one"));
        provider.force_flush().unwrap();
        assert!(exporter.get_finished_spans().unwrap().is_empty());
    }

    /// Breaks at every second batch.
    #[derive(Debug, Default)]
    struct Brittle(AtomicUsize);

    impl SpanExporter for Brittle {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            assert!(!self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2), "as the test wants it");
            Ok(())
        }
    }

    #[test]
    fn an_exporter_that_panics_costs_its_batch_and_no_more() {
        let drops = Drops::default();
        let provider = provider(Brittle::default(), drops.clone());
        for _ in 0..4 {
            drop(provider.tracer("test").start("one"));
            provider.force_flush().unwrap();
        }
        provider.shutdown().unwrap();
        let counted: Vec<_> = drops.all().map(|(_, reason, items)| (reason.as_str(), items)).collect();
        assert_eq!(counted, [("panicked", 2)]);
    }
}
