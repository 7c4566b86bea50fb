//! A place to send OpenTelemetry to, which shows what came. Speaks OTLP over HTTP (protobuf and JSON, gzip) and gRPC.

mod flatten;
mod grpc;
mod http;
mod record;

use std::{fmt::Write as _, net::SocketAddr};

use ::http::StatusCode;
use anyhow::Result;
use tokio::sync::watch;

pub use self::record::{LogRecord, MetricPoint, PointValue, Span, SpanEvent, SpanKind, SpanStatus};
use crate::{
    http_peer::{HttpPeer, SharedRecord},
    patience::patiently,
};

/// A running sink; ends when dropped.
pub struct OtlpSink {
    http: HttpPeer,
    grpc: grpc::GrpcPeer,
    received: Received,
    mood: watch::Sender<Mood>,
}

/// What a sink does with what is sent to it over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes and shows it.
    Takes,
    /// It answers this.
    Refuses(StatusCode),
    /// It takes it, and neither answers nor shows it.
    Hangs,
    /// It says that it did not want one item of each batch, and takes and shows all the same what there is.
    RejectsOne,
    /// It answers 200 with what nobody understands, and takes nothing.
    Babbles,
}

/// What came so far, in the order in which it came.
#[derive(Clone, Default)]
pub(crate) struct Received {
    spans: SharedRecord<Span>,
    points: SharedRecord<MetricPoint>,
    logs: SharedRecord<LogRecord>,
}

impl OtlpSink {
    /// Starts on two free ports.
    pub async fn start() -> Result<Self> {
        let received = Received::default();
        let (mood, moods) = watch::channel(Mood::Takes);
        let http = http::start(received.clone(), moods).await?;
        let grpc = grpc::GrpcPeer::start(received.clone()).await?;
        Ok(Self { http, grpc, received, mood })
    }

    /// Changes what happens to what comes over HTTP from now on. Who hangs is hung up on when the mood changes.
    pub fn be(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// `OTEL_EXPORTER_OTLP_ENDPOINT` for protocol `http/protobuf` and `http/json`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        endpoint(self.http.address())
    }

    /// `OTEL_EXPORTER_OTLP_ENDPOINT` for protocol `grpc`.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        endpoint(self.grpc.address())
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().clone()
    }

    /// The spans so far of the trace with this id (hex, lower case), but those of calls of stores: they come and go with what
    /// is remembered.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        of_trace(&self.received.spans.lock(), trace_id)
    }

    /// All metric points so far.
    #[must_use]
    pub fn points(&self) -> Vec<MetricPoint> {
        self.received.points.lock().clone()
    }

    /// All log records so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        self.received.logs.lock().clone()
    }

    /// Waits until the spans of a trace, as [`Self::trace`] has them, are such that `complete`; panics with what came when that does not happen.
    pub async fn wait_for_spans(&self, trace_id: &str, complete: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let waiting = self.received.spans.wait(|spans| {
            let spans = of_trace(spans, trace_id);
            complete(&spans).then_some(spans)
        });
        patiently(waiting, || format!("trace {trace_id} did not become complete:\n{}", dump(&self.trace(trace_id))))
            .await
    }

    /// Waits for a metric point that `is_it`.
    pub async fn wait_for_point(&self, is_it: impl Fn(&MetricPoint) -> bool) -> MetricPoint {
        let waiting = self.received.points.wait(|points| points.iter().find(|point| is_it(point)).cloned());
        patiently(waiting, || format!("the metric point did not come; these did: {:#?}", self.points())).await
    }

    /// Waits until all metric points so far are such that `complete`.
    pub async fn wait_for_points(&self, complete: impl Fn(&[MetricPoint]) -> bool) -> Vec<MetricPoint> {
        let waiting = self.received.points.wait(|points| complete(points).then(|| points.to_vec()));
        patiently(waiting, || format!("metric points are missing; these came: {:#?}", self.points())).await
    }

    /// Waits for a log record that `is_it`.
    pub async fn wait_for_log(&self, is_it: impl Fn(&LogRecord) -> bool) -> LogRecord {
        let waiting = self.received.logs.wait(|logs| logs.iter().find(|log| is_it(log)).cloned());
        patiently(waiting, || format!("the log record did not come; these did: {:#?}", self.logs())).await
    }
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn of_trace(spans: &[Span], trace_id: &str) -> Vec<Span> {
    let is_of_it = |span: &&Span| span.trace_id == trace_id && !span.attributes.contains_key("db.system.name");
    spans.iter().filter(is_of_it).cloned().collect()
}

/// Spans as text, each under its parent.
#[must_use]
pub fn dump(spans: &[Span]) -> String {
    let mut text = String::new();
    let is_known = |id: &str| spans.iter().any(|span| span.span_id == id);
    for root in spans.iter().filter(|span| !is_known(&span.parent_span_id)) {
        dump_below(&mut text, spans, root, 1);
    }
    if text.is_empty() { "    (no spans)\n".to_owned() } else { text }
}

fn dump_below(text: &mut String, spans: &[Span], span: &Span, depth: usize) {
    let Span { service, name, kind, span_id, parent_span_id, status, attributes, .. } = span;
    let indent = "    ".repeat(depth);
    let _ = writeln!(text, "{indent}{service}: {name} ({kind:?}, {span_id} under {parent_span_id:?}) {status:?}");
    let _ = writeln!(text, "{indent}  {}", serde_json::json!(attributes));
    // A span that is its own ancestor cannot be reached from a root, so this ends.
    for child in spans.iter().filter(|child| child.parent_span_id == *span_id) {
        dump_below(text, spans, child, depth + 1);
    }
}

#[cfg(test)]
mod tests;
