//! How `tracing` spans become OpenTelemetry spans, and W3C contexts go in and out of them.

use std::sync::Arc;

use goblin_shared::trace_context::{SpanId, TraceContext, TraceFlags, TraceId, TraceParent};
use opentelemetry::{
    Context,
    trace::{self as otel, SpanContext, TraceContextExt, TraceState, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
};

use super::logging::LogLayer;
use crate::{config::LogConfig, ports::Clock};

/// Only this program's own spans are told. Those of HTTP libraries say nothing that ours do not, and those of the
/// exporter would make it export itself.
pub(super) const OWN_TARGET: &str = "goblin_backend";

/// Libraries speak up only when something is wrong: at finer levels they would write heads of requests into the log.
/// Each name stands for all that begin with it. Directives of the configuration that name one come later, and win.
const QUIET: &str = "h2=warn,hyper=warn,reqwest=warn,rustls=warn,tonic=warn,tower=warn,opentelemetry=warn";

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(OWN_TARGET)
}

/// Sets up the process's subscriber.
pub(super) fn install(provider: &SdkTracerProvider, log: &LogConfig, clock: Arc<dyn Clock>) {
    let filter = EnvFilter::new(format!("{QUIET},{}", log.level));
    // Spans pass at every level of the log, as each line needs the ids of its span.
    let filter = filter_fn(is_own_span).or(filter);
    let log = LogLayer::new(log.format, clock, std::io::stdout).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(spans(provider)).with(log);
    // Fails only when there is one already, which happens in no program that is started once.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The layer that turns our spans into OpenTelemetry's. Events stay in the log.
pub(crate) fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(OWN_TARGET))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_own_span).with_max_level_hint(LevelFilter::INFO))
}

/// Makes a span the child of a remote one. Called before anything else is done with the span.
pub(crate) fn continue_trace(span: &Span, caller: &TraceContext) {
    let parent = caller.parent;
    // The SDK's own check of `tracestate` is stricter in places; the trace is worth more than the state.
    let state = TraceState::from_key_value(caller.state.members()).unwrap_or_default();
    let context = SpanContext::new(
        otel::TraceId::from_bytes(parent.trace_id.to_bytes()),
        otel::SpanId::from_bytes(parent.span_id.to_bytes()),
        otel::TraceFlags::new(parent.flags.bits()),
        true,
        state,
    );
    // Refused only when the span is disabled; then there is nothing to continue.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

/// The `traceparent` that names this span. `None` when no spans are made.
///
/// The SDK has no notion of the random flag for traces that it starts, so the caller says whether its id is random.
pub(crate) fn traceparent(span: &Span, random: bool) -> Option<TraceParent> {
    let context = span.context();
    let context = context.span().span_context().clone();
    Some(TraceParent {
        trace_id: TraceId::from_bytes(context.trace_id().to_bytes())?,
        span_id: SpanId::from_bytes(context.span_id().to_bytes())?,
        flags: TraceFlags { sampled: context.is_sampled(), random },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_with_flags() {
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry().with(spans(&provider));
        tracing::subscriber::with_default(subscriber, || {
            let caller = "00-12345678901234567890123456789012-1234567890123456-03";
            let caller = TraceContext::extract([caller], ["foo=1"]).unwrap();
            let span = tracing::info_span!("server");
            continue_trace(&span, &caller);
            let own = traceparent(&span, true).unwrap();
            assert_eq!(own.trace_id, caller.parent.trace_id);
            assert_ne!(own.span_id, caller.parent.span_id);
            assert_eq!(own.flags.bits(), 3);
            let inner = span.in_scope(|| tracing::info_span!("inner"));
            assert_eq!(traceparent(&inner, true).unwrap().trace_id, caller.parent.trace_id);
        });
    }

    #[test]
    fn without_spans_there_is_no_traceparent() {
        assert_eq!(traceparent(&Span::none(), true), None);
    }
}
