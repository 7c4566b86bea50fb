//! What the dashboards show.

use goblin_shared::vocabulary::{
    AUTH_ATTEMPTS, CHAT_DURATION, CHAT_RESPONSE_DURATION, CONVERSATION_LENGTH, CONVERSATION_TURNS,
    CONVERSATIONS_ABANDONMENT, CONVERSATIONS_STARTED, DATABASE_OPERATION_DURATION, EDGE_DECISIONS,
    EDGE_OVERHEAD_DURATION, GENAI_OPERATION_DURATION, GENAI_TIME_TO_FIRST_CHUNK, GENAI_TOKEN_USAGE,
    HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION, LLM_ATTEMPTS, LLM_BREAKER_STATE, LLM_COST,
    LLM_COST_UNKNOWN, LLM_REQUEST_COST, LLM_REQUEST_SHARE, LLM_REQUESTS, Metric, RUNTIME_BUSY, RUNTIME_QUEUE,
    RUNTIME_TASKS, TELEMETRY_DROPPED, USERS_ACTIVE, USERS_STICKINESS,
};

use super::{
    Dashboard,
    Kind::{self, Bars, Line, Logs, Stat, Table},
    Panel, Row,
};

/// All of them; the first is the one that people open first.
pub(super) fn all() -> Vec<Dashboard> {
    vec![overview(), edge(), gateway(), business(), telemetry()]
}

fn panel(
    kind: Kind,
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
) -> Panel {
    Panel { title, description, kind, unit, queries, exemplars: false }
}

/// What is chosen above, beside more.
fn chosen(metric: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("{metric}{{environment=~\"$environment\"{comma}{more}}}")
}

/// So many a second, added up by labels.
fn rate(metric: &Metric, by: &str, more: &str) -> String {
    format!("sum by ({by}) (rate({}[$__rate_interval]))", chosen(&counted(metric), more))
}

/// A counter, or how often a histogram was told something.
fn counted(metric: &Metric) -> String {
    match metric.kind {
        goblin_shared::vocabulary::MetricKind::Histogram(_) => format!("{}_count", metric.prometheus_name()),
        _ => metric.prometheus_name(),
    }
}

fn quantile(share: &str, metric: &Metric, by: &str, more: &str) -> String {
    let comma = if by.is_empty() { "" } else { ", " };
    let buckets = chosen(&format!("{}_bucket", metric.prometheus_name()), more);
    format!("histogram_quantile({share}, sum by (le{comma}{by}) (rate({buckets}[$__rate_interval])))")
}

/// Of three quantiles.
fn quantiles(metric: &Metric, more: &str) -> Vec<(String, &'static str)> {
    [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")]
        .map(|(share, legend)| (quantile(share, metric, "", more), legend))
        .to_vec()
}

fn gauge(metric: &Metric, by: &str, more: &str) -> String {
    format!("max by ({by}) ({})", chosen(&metric.prometheus_name(), more))
}

fn recorded(series: &str) -> String {
    format!("{series}{{environment=~\"$environment\"}}")
}

fn overview() -> Dashboard {
    Dashboard {
        file: "grafana-dashboard.json",
        uid: "goblin-overview",
        title: "Goblin Assistant",
        description: "Objectives, requests, business and health at a glance.",
        rows: vec![objectives(), requests(), figures(), health()],
    }
}

fn objectives() -> Row {
    Row {
        title: "Objectives",
        panels: vec![
            panel(
                Stat,
                "Error budget left",
                "Share of the error budget of 30 days that is left: 100 %, all of it; less than nothing, it is overdrawn.",
                "percentunit",
                vec![(recorded("slo:period_error_budget_remaining:ratio"), "{{slo}}")],
            ),
            panel(
                Stat,
                "Burn rate now",
                "How fast the budget burns: at 1 it is used up in exactly 30 days; a page comes at 14.4 over an hour.",
                "none",
                vec![(recorded("slo:current_burn_rate:ratio"), "{{slo}}")],
            ),
            panel(
                Stat,
                "Kept over a day",
                "Share of good events among the valid ones of the last day.",
                "percentunit",
                vec![(format!("1 - {}", recorded("slo:sli_error:ratio_rate1d")), "{{slo}}")],
            ),
            panel(
                Stat,
                "Alerts",
                "Alerts that are firing, without the watchdog.",
                "none",
                vec![(
                    "count(ALERTS{alertstate=\"firing\",alertname!=\"Watchdog\"}) or vector(0)".to_owned(),
                    "firing",
                )],
            ),
            panel(
                Line,
                "Bad events",
                "Share of bad events over an hour, by objective.",
                "percentunit",
                vec![(recorded("slo:sli_error:ratio_rate1h"), "{{slo}}")],
            ),
            panel(
                Line,
                "Burn rate",
                "Over five minutes, by objective.",
                "none",
                vec![(recorded("slo:current_burn_rate:ratio"), "{{slo}}")],
            ),
        ],
    }
}

fn requests() -> Row {
    let requests = &HTTP_SERVER_REQUEST_DURATION;
    Row {
        title: "Requests",
        panels: vec![
            panel(
                Line,
                "Requests",
                "Requests a second, as edge and backend see them.",
                "reqps",
                vec![(rate(requests, "job", "job=~\"$service\""), "{{job}}")],
            ),
            panel(
                Bars,
                "Answers by status",
                "Requests a second at the edge by status; without one the client left before the head.",
                "reqps",
                vec![(
                    rate(requests, "http_response_status_code", "job=\"goblin-edge\""),
                    "{{http_response_status_code}}",
                )],
            ),
            Panel {
                exemplars: true,
                ..panel(
                    Line,
                    "Response time",
                    "Time to the end of the answer's body, at the edge. Points lead to traces.",
                    "s",
                    quantiles(requests, "job=\"goblin-edge\""),
                )
            },
            panel(
                Line,
                "Chat response time",
                "Time to the complete answer, or of a stream to its first content. The objective: 95 % within 2 s.",
                "s",
                quantiles(&CHAT_RESPONSE_DURATION, "outcome=\"completed\""),
            ),
            panel(
                Line,
                "Requests for a model by outcome",
                "Requests a second as they are settled.",
                "reqps",
                vec![(rate(&LLM_REQUESTS, "outcome", ""), "{{outcome}}")],
            ),
            panel(
                Line,
                "Who asks",
                "Decisions a second on who asks. `error`: it could not be said, which is a fault of ours.",
                "ops",
                vec![(rate(&AUTH_ATTEMPTS, "outcome", ""), "{{outcome}}")],
            ),
        ],
    }
}

fn figures() -> Row {
    Row {
        title: "Business",
        panels: vec![
            panel(
                Stat,
                "Active users",
                "Users with a settled request, by window.",
                "none",
                vec![(gauge(&USERS_ACTIVE, "window", ""), "{{window}}")],
            ),
            panel(
                Stat,
                "Spent in an hour",
                "Dollars, where the cost is known.",
                "currencyUSD",
                vec![(format!("sum(increase({}[1h]))", chosen(&LLM_COST.prometheus_name(), "")), "USD")],
            ),
            panel(
                Stat,
                "Conversations in a day",
                "Conversations that were created.",
                "none",
                vec![(
                    format!("sum(increase({}[1d]))", chosen(&CONVERSATIONS_STARTED.prometheus_name(), "")),
                    "started",
                )],
            ),
            panel(
                Stat,
                "Share of models",
                "Of the requests of 30 days.",
                "percentunit",
                vec![(gauge(&LLM_REQUEST_SHARE, "gen_ai_request_model", ""), "{{gen_ai_request_model}}")],
            ),
        ],
    }
}

fn health() -> Row {
    Row {
        title: "Services and traces",
        panels: vec![
            panel(
                Stat,
                "Ready from outside",
                "1: edge and backend answer the blackbox exporter.",
                "none",
                vec![("min by (service) (probe_success)".to_owned(), "{{service}}")],
            ),
            panel(
                Stat,
                "Servers up",
                "1: the server answers Prometheus.",
                "none",
                vec![("min by (job) (up{job!~\"goblin|probes\"})".to_owned(), "{{job}}")],
            ),
            panel(
                Line,
                "Spans",
                "Spans a second by service, counted before any is left out.",
                "ops",
                vec![(
                    format!("sum by (job) (rate({}[$__rate_interval]))", chosen("traces_spanmetrics_calls_total", "")),
                    "{{job}}",
                )],
            ),
            Panel {
                exemplars: true,
                ..panel(
                    Line,
                    "Time of spans",
                    "p95 by span. Points lead to traces.",
                    "s",
                    vec![(
                        format!(
                            "histogram_quantile(0.95, sum by (le, span_name) (rate({}[$__rate_interval])))",
                            chosen("traces_spanmetrics_duration_seconds_bucket", "")
                        ),
                        "{{span_name}}",
                    )],
                )
            },
            panel(
                Logs,
                "Warnings and errors",
                "Lines of the log that need somebody.",
                "",
                vec![("{service_name=~\"goblin-.*\"} | severity_text=~\"WARN|ERROR\"".to_owned(), "")],
            ),
        ],
    }
}

fn edge() -> Dashboard {
    Dashboard {
        file: "grafana/edge.json",
        uid: "goblin-edge",
        title: "Goblin Assistant / Edge",
        description: "Who is let in, who is not, and what the edge adds.",
        rows: vec![Row {
            title: "Edge",
            panels: vec![
                panel(
                    Bars,
                    "Decisions",
                    "Requests a second that were admitted, refused, or would have been refused.",
                    "reqps",
                    vec![(rate(&EDGE_DECISIONS, "decision", ""), "{{decision}}")],
                ),
                panel(
                    Table,
                    "Decisions by reason",
                    "In the last hour.",
                    "none",
                    vec![(
                        format!(
                            "sum by (decision, reason) (increase({}[1h]))",
                            chosen(&EDGE_DECISIONS.prometheus_name(), "")
                        ),
                        "",
                    )],
                ),
                panel(
                    Line,
                    "What the edge adds",
                    "Time that the edge itself takes. In production its clock stands still between I/O.",
                    "s",
                    quantiles(&EDGE_OVERHEAD_DURATION, ""),
                ),
                panel(
                    Line,
                    "Attempts at backends",
                    "Requests a second to backends by status.",
                    "reqps",
                    vec![(
                        rate(&HTTP_CLIENT_REQUEST_DURATION, "http_response_status_code", "job=\"goblin-edge\""),
                        "{{http_response_status_code}}",
                    )],
                ),
                panel(
                    Line,
                    "Response time of backends",
                    "As the edge sees them.",
                    "s",
                    quantiles(&HTTP_CLIENT_REQUEST_DURATION, "job=\"goblin-edge\""),
                ),
                panel(
                    Line,
                    "Requests by route",
                    "Requests a second.",
                    "reqps",
                    vec![(rate(&HTTP_SERVER_REQUEST_DURATION, "http_route", "job=\"goblin-edge\""), "{{http_route}}")],
                ),
            ],
        }],
    }
}

fn gateway() -> Dashboard {
    Dashboard {
        file: "grafana/gateway.json",
        uid: "goblin-gateway",
        title: "Goblin Assistant / Gateway and providers",
        description: "How providers answer, and how the backend is.",
        rows: vec![providers(), backend()],
    }
}

fn providers() -> Row {
    Row {
        title: "Providers",
        panels: vec![
            panel(
                Bars,
                "Calls",
                "Calls of providers a second by outcome.",
                "reqps",
                vec![(
                    rate(&LLM_ATTEMPTS, "gen_ai_provider_name, outcome", ""),
                    "{{gen_ai_provider_name}} {{outcome}}",
                )],
            ),
            panel(
                Line,
                "Failing calls",
                "Share of the calls that fail.",
                "percentunit",
                vec![(
                    format!(
                        "({failed} or 0 * {all}) / {all}",
                        failed = rate(&LLM_ATTEMPTS, "gen_ai_provider_name", "outcome=\"failed\""),
                        all = rate(&LLM_ATTEMPTS, "gen_ai_provider_name", "")
                    ),
                    "{{gen_ai_provider_name}}",
                )],
            ),
            panel(
                Line,
                "Time of a call",
                "p95 by provider and model.",
                "s",
                vec![(
                    quantile("0.95", &GENAI_OPERATION_DURATION, "gen_ai_provider_name, gen_ai_request_model", ""),
                    "{{gen_ai_provider_name}} {{gen_ai_request_model}}",
                )],
            ),
            panel(
                Line,
                "Time to the first chunk",
                "p95 of streamed answers, by model.",
                "s",
                vec![(
                    quantile("0.95", &GENAI_TIME_TO_FIRST_CHUNK, "gen_ai_request_model", ""),
                    "{{gen_ai_request_model}}",
                )],
            ),
            panel(
                Line,
                "Tokens",
                "Tokens a second.",
                "none",
                vec![(
                    format!(
                        "sum by (gen_ai_token_type) (rate({}_sum{{environment=~\"$environment\"}}[$__rate_interval]))",
                        GENAI_TOKEN_USAGE.prometheus_name()
                    ),
                    "{{gen_ai_token_type}}",
                )],
            ),
            panel(
                Stat,
                "Circuit breakers",
                "0 closed, 1 half-open, 2 open.",
                "none",
                vec![(gauge(&LLM_BREAKER_STATE, "gen_ai_provider_name", ""), "{{gen_ai_provider_name}}")],
            ),
        ],
    }
}

fn backend() -> Row {
    Row {
        title: "Backend",
        panels: vec![
            panel(
                Line,
                "To the end of the answer",
                "Chat requests, the whole body.",
                "s",
                quantiles(&CHAT_DURATION, ""),
            ),
            panel(
                Line,
                "Calls of stores",
                "p95 by statement.",
                "s",
                vec![(
                    quantile("0.95", &DATABASE_OPERATION_DURATION, "db_operation_name, db_collection_name", ""),
                    "{{db_operation_name}} {{db_collection_name}}",
                )],
            ),
            panel(
                Line,
                "Tasks",
                "Tasks of the runtime that have not ended, and those that wait for a worker.",
                "none",
                vec![
                    (gauge(&RUNTIME_TASKS, "instance", ""), "tasks {{instance}}"),
                    (gauge(&RUNTIME_QUEUE, "instance", ""), "waiting {{instance}}"),
                ],
            ),
            panel(
                Line,
                "Busy workers",
                "Of the asynchronous runtime: 1 is one processor.",
                "none",
                vec![(rate(&RUNTIME_BUSY, "instance", ""), "{{instance}}")],
            ),
        ],
    }
}

fn business() -> Dashboard {
    Dashboard {
        file: "grafana/business.json",
        uid: "goblin-business",
        title: "Goblin Assistant / Business and cost",
        description: "Who uses it, what it costs, how conversations go. Exact figures: /admin/analytics.",
        rows: vec![Row {
            title: "Business",
            panels: vec![
                panel(
                    Line,
                    "Active users",
                    "Users with a settled request in the day, week and month that end today.",
                    "none",
                    vec![(gauge(&USERS_ACTIVE, "window", ""), "{{window}}")],
                ),
                panel(
                    Line,
                    "Stickiness",
                    "Users of the day by those of 30 days.",
                    "percentunit",
                    vec![(gauge(&USERS_STICKINESS, "environment", ""), "{{environment}}")],
                ),
                panel(
                    Bars,
                    "Cost",
                    "Dollars an hour by model.",
                    "currencyUSD",
                    vec![(
                        format!("3600 * {}", rate(&LLM_COST, "gen_ai_request_model", "")),
                        "{{gen_ai_request_model}}",
                    )],
                ),
                panel(
                    Line,
                    "Requests of unknown cost",
                    "A second, by model.",
                    "reqps",
                    vec![(rate(&LLM_COST_UNKNOWN, "gen_ai_request_model", ""), "{{gen_ai_request_model}}")],
                ),
                panel(
                    Table,
                    "Cost of a request",
                    "Of the last 30 days, in dollars.",
                    "currencyUSD",
                    vec![(gauge(&LLM_REQUEST_COST, "gen_ai_provider_name, gen_ai_request_model, statistic", ""), "")],
                ),
                panel(
                    Line,
                    "Share of requests",
                    "Of the last 30 days, by provider.",
                    "percentunit",
                    vec![(
                        format!(
                            "sum by (gen_ai_provider_name) ({})",
                            gauge(&LLM_REQUEST_SHARE, "gen_ai_provider_name, gen_ai_request_model", "")
                        ),
                        "{{gen_ai_provider_name}}",
                    )],
                ),
                panel(
                    Line,
                    "Conversations",
                    "Created an hour.",
                    "none",
                    vec![(format!("3600 * {}", rate(&CONVERSATIONS_STARTED, "environment", "")), "{{environment}}")],
                ),
                panel(
                    Line,
                    "Turns of conversations",
                    "As each further one is kept.",
                    "none",
                    vec![
                        (quantile("0.5", &CONVERSATION_TURNS, "", ""), "p50"),
                        (quantile("0.95", &CONVERSATION_TURNS, "", ""), "p95"),
                    ],
                ),
                panel(
                    Stat,
                    "Abandoned",
                    "Share of the conversations of 30 days.",
                    "percentunit",
                    vec![(gauge(&CONVERSATIONS_ABANDONMENT, "environment", ""), "{{environment}}")],
                ),
                panel(
                    Stat,
                    "Length of a conversation",
                    "Mean of 30 days.",
                    "s",
                    vec![(gauge(&CONVERSATION_LENGTH, "environment", ""), "{{environment}}")],
                ),
            ],
        }],
    }
}

fn telemetry() -> Dashboard {
    Dashboard {
        file: "grafana/telemetry.json",
        uid: "goblin-telemetry",
        title: "Goblin Assistant / Telemetry",
        description: "Whether what is told arrives.",
        rows: vec![Row {
            title: "Collector",
            panels: vec![
                panel(Line, "Taken", "Items a second that the Collector took.", "ops", ["spans", "metric_points", "log_records"].map(|items| (format!("sum(rate(otelcol_receiver_accepted_{items}_total[$__rate_interval]))"), items)).to_vec()),
                panel(Line, "Handed on", "Items a second that it handed on, by exporter.", "ops", ["spans", "metric_points", "log_records"].map(|items| (format!("sum by (exporter) (rate(otelcol_exporter_sent_{items}_total[$__rate_interval]))"), "{{exporter}}")).to_vec()),
                panel(Line, "Queues", "Share of each exporter's queue that is full.", "percentunit", vec![("max by (exporter) (otelcol_exporter_queue_size) / max by (exporter) (otelcol_exporter_queue_capacity)".to_owned(), "{{exporter}}")]),
                panel(Line, "Lost by edge and backend", "Items a second, by signal and reason.", "ops", vec![(format!("({}) or vector(0)", rate(&TELEMETRY_DROPPED, "job, signal, reason", "")), "{{job}} {{signal}} {{reason}}")]),
                panel(Line, "Memory of the Collector", "Resident.", "bytes", vec![("otelcol_process_memory_rss_bytes".to_owned(), "{{instance}}")]),
                panel(Line, "Scrapes", "Time that Prometheus takes for each.", "s", vec![("scrape_duration_seconds".to_owned(), "{{job}}")]),
            ],
        }],
    }
}
