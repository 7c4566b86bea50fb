//! Alerts beside those of the objectives: what is down, what fails, what is lost, what costs too much.

use goblin_shared::vocabulary::{
    CHAT_RESPONSE_DURATION, HTTP_SERVER_REQUEST_DURATION, LLM_ATTEMPTS, LLM_BREAKER_STATE, LLM_COST, TELEMETRY_DROPPED,
};

use super::{Alert, Group, Rule};

const PAGE: &str = "page";
const TICKET: &str = "ticket";

/// All of them.
pub(super) fn groups() -> Vec<Group> {
    vec![
        Group { name: "availability", rules: availability() },
        Group { name: "requests", rules: requests() },
        Group { name: "providers", rules: providers() },
        Group { name: "telemetry", rules: telemetry() },
        Group { name: "cost", rules: vec![cost()] },
        Group { name: "watchdog", rules: vec![watchdog()] },
    ]
}

/// What is said of an alert.
struct Told {
    name: &'static str,
    severity: &'static str,
    /// Whose failure explains it, with blanks between.
    follows_from: &'static str,
    hold: &'static str,
    summary: &'static str,
    description: &'static str,
    dashboard: &'static str,
}

fn alert(told: &Told, expression: String) -> Rule {
    let mut labels = vec![("severity", told.severity.to_owned())];
    if !told.follows_from.is_empty() {
        labels.push(("follows_from", told.follows_from.to_owned()));
    }
    Rule {
        name: told.name.to_owned(),
        expression,
        labels,
        alert: Some(Alert {
            hold: told.hold,
            summary: told.summary,
            description: told.description.to_owned(),
            dashboard: told.dashboard,
        }),
    }
}

fn availability() -> Vec<Rule> {
    let probe = |name, service: &str, follows_from, summary, description| {
        alert(
            &Told {
                name,
                severity: PAGE,
                follows_from,
                hold: "1m",
                summary,
                description,
                dashboard: "goblin-overview",
            },
            format!("probe_success{{service=\"{service}\"}} == 0"),
        )
    };
    let mut rules = vec![
        probe(
            "EdgeDown",
            "edge",
            "",
            "The edge does not answer",
            "{{ $labels.target }} is not ready as seen from outside. Clients get no answer.",
        ),
        probe(
            "BackendDown",
            "backend",
            "",
            "A backend does not answer",
            "{{ $labels.target }} is not ready as seen from outside.",
        ),
    ];
    for (name, job, summary) in [
        ("CollectorDown", "collector", "The Collector does not answer"),
        ("JaegerDown", "jaeger", "Jaeger does not answer"),
        ("LokiDown", "loki", "Loki does not answer"),
        ("AlertmanagerDown", "alertmanager", "Alertmanager does not answer"),
        ("BlackboxDown", "probes", "Nobody looks at edge and backend from outside"),
    ] {
        let severity = if job == "collector" { PAGE } else { TICKET };
        rules.push(alert(
            &Told {
                name,
                severity,
                follows_from: "",
                hold: "2m",
                summary,
                description: "{{ $labels.instance }} does not answer Prometheus.",
                dashboard: "goblin-telemetry",
            },
            // What edge and backend tell is fetched from the Collector too.
            format!("up{{job=~\"{}\"}} == 0", if job == "collector" { "collector|goblin" } else { job }),
        ));
    }
    rules
}

fn requests() -> Vec<Rule> {
    let served = format!("{}_count", HTTP_SERVER_REQUEST_DURATION.prometheus_name());
    let of_edge = |statuses: &str| {
        format!("sum by (environment) (rate({served}{{job=\"goblin-edge\",http_route=~\"/v1/.*\"{statuses}}}[5m]))")
    };
    let buckets = format!("{}_bucket", CHAT_RESPONSE_DURATION.prometheus_name());
    let p95 = |window: &str| {
        format!("histogram_quantile(0.95, sum by (le, environment) (rate({buckets}{{outcome=\"completed\"}}{window})))")
    };
    vec![
        alert(
            &Told {
                name: "EdgeErrorRateHigh",
                severity: PAGE,
                follows_from: "backend collector",
                hold: "5m",
                summary: "More than 5 % of all requests fail",
                description: "{{ $value | humanizePercentage }} of the requests at the edge are answered with 5xx.",
                dashboard: "goblin-overview",
            },
            format!("{}\n/ ({} > 0.1)\n> 0.05", of_edge(",http_response_status_code=~\"5..\""), of_edge("")),
        ),
        alert(
            &Told {
                name: "ChatLatencyDegraded",
                severity: TICKET,
                follows_from: "backend collector",
                hold: "10m",
                summary: "Chat answers take twice as long as they did",
                description: "Of 100 chat answers 5 take longer than {{ $value | humanizeDuration }}, more than twice as long as over the day before.",
                dashboard: "goblin-gateway",
            },
            format!("{now} > 0.5\nand\n{now} > 2 * {}", p95("[1d] offset 1h"), now = p95("[10m]")),
        ),
    ]
}

fn providers() -> Vec<Rule> {
    let attempts = LLM_ATTEMPTS.prometheus_name();
    let calls =
        |outcome: &str| format!("sum by (gen_ai_provider_name, environment) (rate({attempts}{{{outcome}}}[5m]))");
    vec![
        alert(
            &Told {
                name: "ProviderFailing",
                severity: TICKET,
                follows_from: "backend collector",
                hold: "2m",
                summary: "A provider fails more often than it answers",
                description: "{{ $value | humanizePercentage }} of the calls of {{ $labels.gen_ai_provider_name }} fail. Requests go to the next of their plan, as long as there is one.",
                dashboard: "goblin-gateway",
            },
            // Fewer than five calls in five minutes say nothing.
            format!("{}\n/ ({} > 5 / 300)\n> 0.5", calls("outcome=\"failed\""), calls("outcome!=\"cancelled\"")),
        ),
        alert(
            &Told {
                name: "ProviderBreakerOpen",
                severity: TICKET,
                follows_from: "backend collector",
                hold: "0s",
                summary: "A provider is not called any more",
                description: "The circuit breaker of {{ $labels.gen_ai_provider_name }} is open, or was within five minutes.",
                dashboard: "goblin-gateway",
            },
            // It is told from time to time only, and may be open for ten seconds.
            format!(
                "max by (gen_ai_provider_name, environment) (max_over_time({}[5m])) == 2",
                LLM_BREAKER_STATE.prometheus_name()
            ),
        ),
    ]
}

fn telemetry() -> Vec<Rule> {
    let told = |name, summary, description, hold| Told {
        name,
        severity: TICKET,
        follows_from: "collector",
        hold,
        summary,
        description,
        dashboard: "goblin-telemetry",
    };
    vec![
        alert(
            &told(
                "TelemetryDropped",
                "Spans, metrics or lines of the log are lost",
                "{{ $labels.job }} loses {{ $value | humanize }} {{ $labels.signal }} a second: {{ $labels.reason }}.",
                "5m",
            ),
            format!("sum by (job, signal, reason, environment) (rate({}[5m])) > 0", TELEMETRY_DROPPED.prometheus_name()),
        ),
        alert(
            &told(
                "CollectorExportFailing",
                "The Collector loses what it cannot hand on",
                "{{ $labels.exporter }} has given up on some of what it was given, or has no room for more: that is lost.",
                "0s",
            ),
            ["send", "enqueue"]
                .into_iter()
                .flat_map(|how| ["spans", "log_records", "metric_points"].map(|items| (how, items)))
                .map(|(how, items)| {
                    format!("sum by (exporter) (rate(otelcol_exporter_{how}_failed_{items}_total[5m])) > 0")
                })
                .collect::<Vec<_>>()
                .join("\nor\n"),
        ),
        alert(
            &told(
                "CollectorQueueFilling",
                "The Collector's queue fills up",
                "The queue of {{ $labels.exporter }} is {{ $value | humanizePercentage }} full; then it loses what comes.",
                "5m",
            ),
            "max by (exporter) (otelcol_exporter_queue_size)\n/ max by (exporter) (otelcol_exporter_queue_capacity)\n> 0.7".to_owned(),
        ),
    ]
}

fn cost() -> Rule {
    let cost = LLM_COST.prometheus_name();
    let rate = |window: &str| format!("sum by (environment) (rate({cost}{window}))");
    alert(
        &Told {
            name: "CostAnomaly",
            severity: TICKET,
            follows_from: "",
            hold: "15m",
            summary: "Much more is spent than the day before",
            description: "{{ $value | humanize }} USD an hour are spent, more than three times as much as over the last day.",
            dashboard: "goblin-business",
        },
        format!("{now} * 3600 > 0.1\nand\n{now} > 3 * {}", rate("[1d] offset 1h"), now = rate("[1h]")),
    )
}

fn watchdog() -> Rule {
    alert(
        &Told {
            name: "Watchdog",
            severity: "none",
            follows_from: "",
            hold: "0s",
            summary: "Alerting works",
            description: "It always fires. Whoever expects it and does not get it knows that nothing else would come either.",
            dashboard: "goblin-telemetry",
        },
        "vector(1)".to_owned(),
    )
}
