//! How `tracing` spans become OpenTelemetry spans, and W3C contexts go in and out of them.

use std::sync::Arc;

use goblin_shared::{
    request_id::RequestId,
    trace_context::{TraceContext, TraceFlags, TraceParent},
};
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::{logs::SdkLogger, trace::SdkTracer};
use tracing::{Level, Metadata, Span, info_span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
};

use super::{drops::Drops, log_levels::LogLevels, logging::LogLayer, propagator, rejections::RejectionLayer};
use crate::{config::LogConfig, ports::Clock};

/// Only this program's own spans are told. Those of HTTP libraries say nothing that ours do not, and those of the
/// exporter would make it export itself.
pub(super) const OWN_TARGET: &str = "goblin_backend";

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(OWN_TARGET)
}

/// Sets up the process's subscriber.
pub(super) fn install(
    tracer: SdkTracer,
    log: &LogConfig,
    own_level: Option<&str>,
    clock: Arc<dyn Clock>,
    logger: Option<SdkLogger>,
    drops: Drops,
) -> LogLevels {
    let (levels, filter) = LogLevels::new(&log.level, own_level);
    // Spans pass at every level of the log, as each line needs the ids of its span.
    let filter = filter_fn(is_own_span).or(filter);
    let log = LogLayer::new(log.format, clock, std::io::stdout, logger).with_filter(filter);
    let told = filter_fn(|metadata: &Metadata<'_>| {
        metadata.is_event() && metadata.target().starts_with("opentelemetry") && *metadata.level() <= Level::WARN
    });
    let rejections = RejectionLayer(drops).with_filter(told.with_max_level_hint(LevelFilter::WARN));
    let subscriber = tracing_subscriber::registry().with(spans(tracer)).with(log).with(rejections);
    // Fails only when there is one already, which happens in no program that is started once.
    let _ = tracing::subscriber::set_global_default(subscriber);
    levels
}

/// The layer that turns our spans into OpenTelemetry's. Events stay in the log.
pub(crate) fn spans<S>(tracer: SdkTracer) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_own_span).with_max_level_hint(LevelFilter::INFO))
}

/// Makes a span the child of a remote one. Called before anything else is done with the span.
pub(crate) fn continue_trace(span: &Span, caller: &TraceContext) {
    // Refused only when the span is disabled; then there is nothing to continue.
    let _ = span.set_parent(Context::new().with_remote_span_context(propagator::remote(caller)));
}

/// The `traceparent` that names this span. `None` when no spans are made.
///
/// Who calls this says whether the trace's id is random.
pub(crate) fn traceparent(span: &Span, random: bool) -> Option<TraceParent> {
    let context = span.context();
    let parent = propagator::parent_of(context.span().span_context(), random)?;
    // The random flag of a caller is his word for his id; it is given as he gave it.
    Some(TraceParent { flags: TraceFlags { random, ..parent.flags }, ..parent })
}

/// The span of a request of which there may be more to say when it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Origin(SpanContext);

impl Origin {
    /// The current one.
    pub(crate) fn current() -> Self {
        Self(Span::current().context().span().span_context().clone())
    }

    /// Says it in the request's trace, in a span of its own with that `name`.
    pub(crate) fn tell(&self, name: &'static str, request_id: Option<RequestId>, say: impl FnOnce()) {
        let request_id = request_id.map(|id| id.to_string());
        let span = info_span!(
            parent: None,
            "late",
            otel.name = name,
            otel.kind = "internal",
            otel.status_code = "ERROR",
            goblin.request.id = request_id
        );
        if self.0.is_valid() {
            // Refused only when the span is disabled.
            let _ = span.set_parent(Context::new().with_remote_span_context(self.0.clone()));
        }
        span.in_scope(say);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_trace_is_continued_with_flags() {
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry().with(spans(provider.tracer("test")));
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
    fn what_is_said_late_is_in_the_trace_of_its_request() {
        let provider = SdkTracerProvider::builder().build();
        let subscriber = tracing_subscriber::registry().with(spans(provider.tracer("test")));
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request");
            let (origin, own) = request.in_scope(|| (Origin::current(), traceparent(&Span::current(), true).unwrap()));
            drop(request);
            let late = std::cell::Cell::new(None);
            origin.tell("settle", None, || late.set(traceparent(&Span::current(), true)));
            let late = late.take().unwrap();
            assert_eq!(late.trace_id, own.trace_id);
            assert_ne!(late.span_id, own.span_id);
            // Of no request at all it is a trace of its own.
            Origin::current().tell("settle", None, || late_is_alone(&own));
        });
    }

    fn late_is_alone(other: &TraceParent) {
        assert_ne!(traceparent(&Span::current(), true).unwrap().trace_id, other.trace_id);
    }

    #[test]
    fn without_spans_there_is_no_traceparent() {
        assert_eq!(traceparent(&Span::none(), true), None);
    }
}
