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
    /// What is the case at a moment.
    Gauge,
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

impl Metric {
    /// Its name in Prometheus, as the Collector's exporters make it; of a histogram what stands before `_bucket`, `_count` and
    /// `_sum`. The backend's `/metrics` knows no unit `USD`, and leaves it out
    /// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>).
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let unit = match (self.unit, self.kind) {
            ("s", _) => "_seconds",
            ("USD", _) => "_USD",
            ("1", MetricKind::Gauge) => "_ratio",
            _ => "",
        };
        let total = if self.kind == MetricKind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }

    /// Names of its series there.
    #[must_use]
    pub fn prometheus_series(&self) -> Vec<String> {
        let name = self.prometheus_name();
        match self.kind {
            MetricKind::Histogram(_) => ["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}")).to_vec(),
            MetricKind::Counter | MetricKind::Gauge => vec![name],
        }
    }
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

/// Telemetry that was lost, and is known to be: items that found no room (`queue_full`), that the collector did not want
/// (`rejected`), that could not be sent (`export_failed`), or at whose sending the exporter broke (`panicked`). `signal` is
/// `traces`, `metrics` or `logs`.
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

/// Bounds of the durations of chat requests, in seconds: those of HTTP, and the objective of 2 s.
pub const CHAT_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];

/// Bounds of the durations of calls of models, in seconds, as the conventions advise them.
pub const GENAI_SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Bounds of counts of tokens, as the conventions advise them.
pub const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Bounds of the durations of database calls, in seconds, as the conventions advise them.
pub const DATABASE_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Bounds of the lengths of conversations, in turns.
pub const TURNS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0, 89.0, 144.0];

/// Chat requests that were accounted for, each once: the time from the request's arrival to the complete answer, or of a
/// stream to its first content. `outcome` is `completed` where that came, else `failed` or `cancelled` (the client left),
/// with the time until then.
pub const CHAT_RESPONSE_DURATION: Metric = Metric {
    name: "goblin.chat.response.duration",
    source: Source::Product,
    kind: MetricKind::Histogram(CHAT_SECONDS),
    unit: "s",
    description: "Time to the complete answer of a chat request, or to the first content of a streamed one",
    labels: &["mode", "outcome"],
};

/// The same requests, to the end of the answer's body.
pub const CHAT_DURATION: Metric = Metric {
    name: "goblin.chat.duration",
    source: Source::Product,
    kind: MetricKind::Histogram(CHAT_SECONDS),
    unit: "s",
    description: "Time to the end of the answer of a chat request",
    labels: &["mode", "outcome"],
};

/// Requests (chat and embeddings) that may have called a provider, each once, as they are settled. `outcome` is `answered`,
/// `failed`, `unavailable` (no provider of the plan could take it), `rejected` (the request's own fault) or `cancelled`
/// (the client left).
pub const LLM_REQUESTS: Metric = Metric {
    name: "goblin.llm.requests",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{request}",
    description: "Requests for an answer of a model",
    labels: &["outcome"],
};

/// Calls of providers, each once. `outcome` is `completed`, `failed` or `cancelled` (given up: the client left).
pub const LLM_ATTEMPTS: Metric = Metric {
    name: "goblin.llm.attempts",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{attempt}",
    description: "Calls of providers",
    labels: &["gen_ai.provider.name", "gen_ai.request.model", "outcome", "error.type"],
};

/// What settled requests cost, by who was called last. Requests whose cost is not known are in [`LLM_COST_UNKNOWN`]
/// instead.
pub const LLM_COST: Metric = Metric {
    name: "goblin.llm.cost",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "USD",
    description: "Cost of requests, where it is known",
    labels: &["gen_ai.provider.name", "gen_ai.request.model"],
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

/// Whether a provider is called: 0, it is (closed breaker); 1, it is called now and then to see whether it is back
/// (half-open); 2, it is not (open), or has itself said that it takes no more for now. The worst of its models counts.
pub const LLM_BREAKER_STATE: Metric = Metric {
    name: "goblin.llm.breaker.state",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Circuit breaker of a provider: 0 closed, 1 half-open, 2 open",
    labels: &["gen_ai.provider.name"],
};

/// Users with a settled request in the day, or in the 7 or 30 days that end today, in UTC. `window` is `day`, `week` or
/// `month`.
pub const USERS_ACTIVE: Metric = Metric {
    name: "goblin.users.active",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "{user}",
    description: "Users that asked something in the window that ends today",
    labels: &["window"],
};

/// Users of the day by those of 30 days, both of which end today.
pub const USERS_STICKINESS: Metric = Metric {
    name: "goblin.users.stickiness",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Users of the day by those of 30 days",
    labels: &[],
};

/// What a request cost in the last 30 days, by who was called last. `statistic` is `mean`, `p50` or `p95`.
pub const LLM_REQUEST_COST: Metric = Metric {
    name: "goblin.llm.request.cost",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "USD",
    description: "Cost of a request in the last 30 days",
    labels: &["gen_ai.provider.name", "gen_ai.request.model", "statistic"],
};

/// Which share of the requests of the last 30 days was a model's.
pub const LLM_REQUEST_SHARE: Metric = Metric {
    name: "goblin.llm.request.share",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Share of the requests of the last 30 days",
    labels: &["gen_ai.provider.name", "gen_ai.request.model"],
};

/// Which share of the conversations that began in the last 30 days was abandoned.
pub const CONVERSATIONS_ABANDONMENT: Metric = Metric {
    name: "goblin.conversations.abandonment",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Share of the conversations of the last 30 days that were abandoned",
    labels: &[],
};

/// How long a conversation that began in the last 30 days went on, from its first request to its last.
pub const CONVERSATION_LENGTH: Metric = Metric {
    name: "goblin.conversation.length",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "s",
    description: "Mean time from the first request of a conversation of the last 30 days to its last",
    labels: &[],
};

/// Conversations that were created.
pub const CONVERSATIONS_STARTED: Metric = Metric {
    name: "goblin.conversations.started",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "{conversation}",
    description: "Conversations that were created",
    labels: &[],
};

/// The length that a conversation has with each turn that is kept.
pub const CONVERSATION_TURNS: Metric = Metric {
    name: "goblin.conversation.turns",
    source: Source::Product,
    kind: MetricKind::Histogram(TURNS),
    unit: "{turn}",
    description: "Turns of a conversation, as each further one is kept",
    labels: &[],
};

/// The share of good events among the valid ones. `slo` is the objective's name, `window` the time that ends now (`5m`,
/// `30m`, `1h`, `2h`, `6h`, `1d`, `3d`, `30d`). Absent where nothing valid happened.
pub const SLO_COMPLIANCE: Metric = Metric {
    name: "goblin.slo.compliance",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Share of good events among the valid ones",
    labels: &["slo", "window"],
};

/// How much of the period's error budget is left: 1, all; 0, none; less, it is overdrawn.
pub const SLO_ERROR_BUDGET_REMAINING: Metric = Metric {
    name: "goblin.slo.error_budget.remaining",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "1",
    description: "Share of the period's error budget that is left",
    labels: &["slo"],
};

/// Calls of models, from the request to the end of the answer.
pub const GENAI_OPERATION_DURATION: Metric = Metric {
    name: "gen_ai.client.operation.duration",
    source: Source::Conventions,
    kind: MetricKind::Histogram(GENAI_SECONDS),
    unit: "s",
    description: "GenAI operation duration.",
    labels: &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"],
};

/// Tokens that providers reported, by `gen_ai.token.type` `input` and `output`.
pub const GENAI_TOKEN_USAGE: Metric = Metric {
    name: "gen_ai.client.token.usage",
    source: Source::Conventions,
    kind: MetricKind::Histogram(TOKENS),
    unit: "{token}",
    description: "Number of input and output tokens used.",
    labels: &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"],
};

/// Streamed answers, from the request to the first content.
pub const GENAI_TIME_TO_FIRST_CHUNK: Metric = Metric {
    name: "gen_ai.client.operation.time_to_first_chunk",
    source: Source::Conventions,
    kind: MetricKind::Histogram(GENAI_SECONDS),
    unit: "s",
    description: "Time to receive the first chunk of a streamed answer.",
    labels: &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"],
};

/// Calls of the store: `db.system.name` is `sqlite`, `postgresql` or `redis`.
pub const DATABASE_OPERATION_DURATION: Metric = Metric {
    name: "db.client.operation.duration",
    source: Source::Conventions,
    kind: MetricKind::Histogram(DATABASE_SECONDS),
    unit: "s",
    description: "Duration of database client operations.",
    labels: &["db.system.name", "db.operation.name", "db.collection.name", "error.type"],
};

/// Tasks of the backend's runtime that have not ended.
pub const RUNTIME_TASKS: Metric = Metric {
    name: "goblin.runtime.tasks",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "{task}",
    description: "Tasks of the asynchronous runtime that have not ended",
    labels: &[],
};

/// Tasks that wait for a worker of the backend's runtime.
pub const RUNTIME_QUEUE: Metric = Metric {
    name: "goblin.runtime.queue.depth",
    source: Source::Product,
    kind: MetricKind::Gauge,
    unit: "{task}",
    description: "Tasks that wait for a worker of the asynchronous runtime",
    labels: &[],
};

/// Time that the workers of the backend's runtime were busy, together.
pub const RUNTIME_BUSY: Metric = Metric {
    name: "goblin.runtime.busy.duration",
    source: Source::Product,
    kind: MetricKind::Counter,
    unit: "s",
    description: "Time that the workers of the asynchronous runtime were busy",
    labels: &[],
};

/// All of them.
pub const METRICS: &[Metric] = &[
    AUTH_ATTEMPTS,
    CHAT_DURATION,
    CHAT_RESPONSE_DURATION,
    CONVERSATIONS_ABANDONMENT,
    CONVERSATIONS_STARTED,
    CONVERSATION_LENGTH,
    CONVERSATION_TURNS,
    EDGE_DECISIONS,
    EDGE_OVERHEAD_DURATION,
    LLM_ATTEMPTS,
    LLM_BREAKER_STATE,
    LLM_COST,
    LLM_COST_UNKNOWN,
    LLM_REQUESTS,
    LLM_REQUEST_COST,
    LLM_REQUEST_SHARE,
    RUNTIME_BUSY,
    RUNTIME_QUEUE,
    RUNTIME_TASKS,
    SLO_COMPLIANCE,
    SLO_ERROR_BUDGET_REMAINING,
    TELEMETRY_DROPPED,
    USERS_ACTIVE,
    USERS_STICKINESS,
    DATABASE_OPERATION_DURATION,
    GENAI_OPERATION_DURATION,
    GENAI_TIME_TO_FIRST_CHUNK,
    GENAI_TOKEN_USAGE,
    HTTP_CLIENT_REQUEST_DURATION,
    HTTP_SERVER_REQUEST_DURATION,
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
    fn prometheus_has_units_and_kinds_in_names() {
        assert_eq!(LLM_COST.prometheus_series(), ["goblin_llm_cost_USD_total"]);
        assert_eq!(LLM_BREAKER_STATE.prometheus_series(), ["goblin_llm_breaker_state_ratio"]);
        assert_eq!(USERS_ACTIVE.prometheus_name(), "goblin_users_active");
        let buckets = HTTP_SERVER_REQUEST_DURATION.prometheus_series();
        assert_eq!(buckets[0], "http_server_request_duration_seconds_bucket");
    }

    #[test]
    fn bounds_rise_and_durations_are_seconds() {
        for metric in METRICS {
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|lower, upper| lower < upper) && bounds[0] > 0.0, "{}", metric.name);
                assert_eq!(metric.name.contains("dura") || metric.name.contains("time_to"), metric.unit == "s");
            }
        }
    }
}
