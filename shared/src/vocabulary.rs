//! Every metric: name, kind, unit, labels, buckets. Instruments, rules and dashboards take them from here.
//!
//! No label ever holds a user, a key, an address of a client or a conversation.

/// How values of a metric add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// Only grows; OpenTelemetry calls it a monotonic sum.
    Counter,
    /// Values by their size, with the upper bounds of the buckets but the last, which has none.
    Histogram(&'static [f64]),
}

/// Who gave a metric its name and its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This product.
    Product,
    /// OpenTelemetry's semantic conventions, by their stable names.
    Conventions,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Name, as OpenTelemetry writes it.
    pub name: &'static str,
    /// Who named it.
    pub source: Source,
    /// How its values add up.
    pub kind: MetricKind,
    /// Unit, in UCUM.
    pub unit: &'static str,
    /// What it counts or measures.
    pub description: &'static str,
    /// Names of its attributes.
    pub labels: &'static [&'static str],
}

/// Bounds of the durations of HTTP requests, in seconds, as the conventions advise them.
pub const HTTP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Bounds of what the edge adds, in seconds: finer where it should be, and no finer than a Worker's clock.
pub const OVERHEAD_SECONDS: &[f64] = &[0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What the edge decided on requests: each counts once as `admitted` or `refused`, with the reason; each rule that only
/// observes and would have refused counts besides as `observed`.
pub const EDGE_DECISIONS: Metric = Metric {
    name: "goblin.edge.decisions",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{decision}",
    description: "Requests that the edge admitted, refused, or would have refused",
    labels: &["decision", "reason"],
};

/// What the edge adds to a request. On Cloudflare its clock stands still between I/O, so CPU time is not in it.
pub const EDGE_OVERHEAD_DURATION: Metric = Metric {
    name: "goblin.edge.overhead.duration",
    source: Source::Product,
    kind: MetricKind::Histogram(OVERHEAD_SECONDS),
    unit: "s",
    description: "Time that the edge itself takes of a request",
    labels: &["decision"],
};

/// Telemetry that was lost, and is known to be: items that found no room (`queue_full`) or that the collector did not
/// want (`rejected`).
pub const TELEMETRY_DROPPED: Metric = Metric {
    name: "goblin.telemetry.dropped",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{item}",
    description: "Spans, data points and log records that were dropped",
    labels: &["signal", "reason"],
};

/// Requests as a server sees them, to the end of the answer's body.
pub const HTTP_SERVER_REQUEST_DURATION: Metric = Metric {
    name: "http.server.request.duration",
    source: Source::Conventions,
    kind: MetricKind::Histogram(HTTP_SECONDS),
    unit: "s",
    description: "Duration of HTTP server requests.",
    labels: &["http.request.method", "http.route", "http.response.status_code", "url.scheme", "error.type"],
};

/// Requests as a client sees them, each attempt by itself.
pub const HTTP_CLIENT_REQUEST_DURATION: Metric = Metric {
    name: "http.client.request.duration",
    source: Source::Conventions,
    kind: MetricKind::Histogram(HTTP_SECONDS),
    unit: "s",
    description: "Duration of HTTP client requests.",
    labels: &["http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"],
};

/// Decisions on who asks, each once. `method` is `api_key`, `jwt` or `none` (no credential); `outcome` is `accepted`,
/// `rejected` (the credential does not count, or none was given where one is needed) or `error` (it cannot be said, which
/// is a fault of ours).
pub const AUTH_ATTEMPTS: Metric = Metric {
    name: "goblin.auth.attempts",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{attempt}",
    description: "Decisions on who asks",
    labels: &["method", "outcome"],
};

/// Requests that were answered by a model whose price is not known, so that their cost is not either.
pub const LLM_COST_UNKNOWN: Metric = Metric {
    name: "goblin.llm.cost.unknown",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{request}",
    description: "Answered requests whose cost is not known",
    labels: &["gen_ai.provider.name", "gen_ai.request.model"],
};

/// All of them.
pub const METRICS: &[Metric] = &[
    AUTH_ATTEMPTS,
    EDGE_DECISIONS,
    EDGE_OVERHEAD_DURATION,
    LLM_COST_UNKNOWN,
    TELEMETRY_DROPPED,
    HTTP_SERVER_REQUEST_DURATION,
    HTTP_CLIENT_REQUEST_DURATION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_opentelemetrys_and_unique() {
        let allowed = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || more.contains(c))
        };
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(allowed(metric.name, "._"), "{}", metric.name);
            assert_eq!(metric.name.starts_with("goblin."), metric.source == Source::Product, "{}", metric.name);
            assert!(metric.labels.iter().all(|label| allowed(label, "._")), "{:?}", metric.labels);
            assert!(!metric.description.is_empty() && !metric.unit.is_empty());
            assert!(METRICS[..index].iter().all(|other| other.name != metric.name), "{}", metric.name);
        }
    }

    #[test]
    fn bounds_rise_and_durations_are_seconds() {
        for metric in METRICS {
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|lower, upper| lower < upper) && bounds[0] > 0.0, "{}", metric.name);
                assert_eq!(metric.name.ends_with(".duration"), metric.unit == "s", "{}", metric.name);
            }
        }
    }
}
