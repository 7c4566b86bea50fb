//! What tests look at: OpenTelemetry's messages without their nesting.

use std::collections::BTreeMap;

use serde_json::Value;

/// Attributes by name.
pub(super) type Attributes = BTreeMap<String, Value>;

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Hex, lower case.
    pub trace_id: String,
    /// Hex, lower case.
    pub span_id: String,
    /// Hex, lower case; empty on a span without parent.
    pub parent_span_id: String,
    /// The field `tracestate`.
    pub trace_state: String,
    /// W3C flags in the lowest eight bits, OpenTelemetry's above them.
    pub flags: u32,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// `service.name` of the resource; empty without one.
    pub service: String,
    /// Attributes of the resource.
    pub resource: Attributes,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// Attributes.
    pub attributes: Attributes,
    /// Status.
    pub status: SpanStatus,
    /// Nanoseconds since 1970.
    pub start_nanos: u64,
    /// Nanoseconds since 1970.
    pub end_nanos: u64,
    /// Events in the order in which they were sent.
    pub events: Vec<SpanEvent>,
}

/// Which part in a conversation a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// How what a span stands for went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing is said, which is what success looks like as a rule.
    Unset,
    /// Marked as a success.
    Ok,
    /// Failed, with the description.
    Error(String),
}

/// Something that happened during a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// Name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub time_nanos: u64,
    /// Attributes.
    pub attributes: Attributes,
}

/// One value of one metric for one set of attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// Name of the metric.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// `service.name` of the resource; empty without one.
    pub service: String,
    /// Attributes of the resource.
    pub resource: Attributes,
    /// Attributes of the point.
    pub attributes: Attributes,
    /// Value.
    pub value: PointValue,
}

/// The value of a metric point, by the metric's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// A gauge.
    Gauge(f64),
    /// A counter or an up-down counter.
    Sum {
        /// Value.
        value: f64,
        /// Since the last report instead of since the start.
        is_delta: bool,
        /// A counter, which never falls.
        is_monotonic: bool,
    },
    /// A histogram with explicit bounds.
    Histogram {
        /// How many values.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Upper bounds; the last bucket has none.
        bounds: Vec<f64>,
        /// How many values in each bucket, one more than bounds.
        buckets: Vec<u64>,
        /// Since the last report instead of since the start.
        is_delta: bool,
    },
    /// Exponential histograms and summaries, which the product does not make: how many values.
    Other(u64),
}

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Hex, lower case; empty outside a trace.
    pub trace_id: String,
    /// Hex, lower case; empty outside a span.
    pub span_id: String,
    /// `service.name` of the resource; empty without one.
    pub service: String,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// Severity as text, such as `INFO`.
    pub severity: String,
    /// Body.
    pub body: Value,
    /// Attributes.
    pub attributes: Attributes,
}
