//! Calls of stores: a span and a measurement each, with what is done to what and never with a value.

use std::time::{Duration, Instant};

use tracing::{Instrument, Span, field::Empty, info_span};

use super::metrics::{Metrics, StoreCall};
use crate::ports::StoreError;

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its first word.
    pub(crate) operation: &'static str,
    /// A table, or a kind of key.
    pub(crate) collection: &'static str,
}

impl Statement {
    /// `operation` on `collection`.
    pub(crate) const fn new(operation: &'static str, collection: &'static str) -> Self {
        Self { operation, collection }
    }
}

/// Watches the calls of one store.
#[derive(Clone, Debug)]
pub(crate) struct StoreWatch {
    system: &'static str,
    metrics: Option<Metrics>,
}

impl StoreWatch {
    /// For `sqlite`, `postgresql` or `redis`; counts where there is something to count with.
    pub(crate) const fn new(system: &'static str, metrics: Option<Metrics>) -> Self {
        Self { system, metrics }
    }

    /// Watches `work`.
    pub(crate) async fn watch<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(metrics) = &self.metrics else { return work.await };
        let began = Instant::now();
        let span = self.span(statement);
        let done = work.instrument(span.clone()).await;
        let error = done.as_ref().err().map(StoreError::kind);
        if let Some(error) = error {
            span.record("error.type", error);
            span.record("otel.status_code", "ERROR");
        }
        metrics.store_call(self.call(statement), error, began.elapsed());
        done
    }

    /// Counts what took `duration` on behalf of many requests, and so is in the trace of none.
    pub(crate) fn shared(&self, statement: Statement, error: Option<&StoreError>, duration: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.store_call(self.call(statement), error.map(StoreError::kind), duration);
        }
    }

    const fn call(&self, statement: Statement) -> StoreCall {
        StoreCall { system: self.system, operation: statement.operation, collection: statement.collection }
    }

    /// By the conventions for databases
    /// (<https://opentelemetry.io/docs/specs/semconv/db/database-spans/>). Outside of a request there is none: nobody
    /// looks for it.
    fn span(&self, Statement { operation, collection }: Statement) -> Span {
        if Span::current().is_none() {
            return Span::none();
        }
        let summary = format!("{operation} {collection}");
        info_span!(
            "store",
            otel.name = summary,
            otel.kind = "client",
            otel.status_code = Empty,
            "db.system.name" = self.system,
            "db.operation.name" = operation,
            "db.collection.name" = collection,
            "db.query.summary" = summary,
            "error.type" = Empty,
        )
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TracerProvider};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::{super::metrics::read_back::ReadBack, *};

    #[tokio::test]
    async fn calls_within_a_request_are_spans_of_it_and_all_are_measured() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let spans = super::super::tracing::spans(provider.tracer("test"));
        let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans));
        let (metrics, measured) = ReadBack::new();
        let watch = StoreWatch::new("sqlite", Some(metrics));
        let find = Statement::new("SELECT", "keys");
        let failed = || Err::<(), _>(StoreError::Full("no room".into()));
        watch.watch(find, async { Ok(()) }).await.unwrap();
        assert!(exporter.get_finished_spans().unwrap().is_empty());
        let request = tracing::info_span!("request");
        async {
            watch.watch(find, async { Ok(()) }).await.unwrap();
            watch.watch(find, async { failed() }).await.unwrap_err();
        }
        .instrument(request.clone())
        .await;
        drop(request);
        let spans = exporter.get_finished_spans().unwrap();
        let [first, second, request] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((first.name.as_ref(), &first.span_kind), ("SELECT keys", &SpanKind::Client));
        assert_eq!(first.parent_span_id, request.span_context.span_id());
        assert!(first.attributes.iter().any(|one| one.key.as_str() == "db.query.summary"));
        let error = second.attributes.iter().find(|one| one.key.as_str() == "error.type").unwrap();
        assert_eq!(error.value.as_str(), "full");
        let counts = measured.histogram(goblin_shared::vocabulary::DATABASE_OPERATION_DURATION.name);
        let counts: Vec<_> = counts.into_iter().map(|(labels, count)| (labels.join(" "), count)).collect();
        assert_eq!(counts, [("keys SELECT sqlite", 2), ("keys SELECT sqlite full", 1)].map(|(a, b)| (a.to_owned(), b)));
    }
}
