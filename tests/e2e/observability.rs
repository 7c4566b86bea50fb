//! The real servers of the observability stack behind the product: what is told arrives, and can be asked for.

mod asking;
mod checks;
mod deltas;
mod outage;
mod panels;
mod secured;

use std::{collections::BTreeSet, time::Duration};

use goblin_shared::vocabulary::{METRICS, Metric};
use goblin_tests::{
    backend::BackendOptions,
    edge::EdgeOptions,
    observability::{Observability, ObservabilityOptions, Part},
    stack::{OtlpTarget, Stack, StackOptions},
};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::asking::Asking;
use crate::{
    accounting::{
        outages::needed,
        provider::{FAIL, Provider, QUOTE},
    },
    answered::send,
    client::{self, chat, trace_id},
    suite::{Outcome, Suite},
    watched_edge::UNLIMITED,
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_request_is_found_hop_by_hop_in_jaeger_and_in_loki", a_request_is_found_hop_by_hop);
    suite.test("every_metric_of_the_vocabulary_is_in_prometheus", every_metric_is_in_prometheus);
    suite.test("what_was_told_while_jaeger_and_loki_were_away_arrives", what_was_told_meanwhile_arrives);
    panels::register(suite);
    outage::register(suite);
    deltas::register(suite);
    secured::register(suite);
    checks::register(suite);
}

/// Patience for what goes by way of queues, batches and scrapes of a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The product, with everything that watches it.
struct Watched {
    stack: Stack,
    provider: Provider,
    observability: Observability,
}

static SHARED: OnceCell<Watched> = OnceCell::const_new();

/// Ends the product that tests share; its servers end with the process.
pub(crate) async fn end() {
    if let Some(Watched { stack, .. }) = SHARED.get() {
        stack.backend.kill().await;
        stack.edge.terminate().await;
    }
}

/// Shorter waits than in production; all else is as deployed.
const QUICK: [(&str, &str); 5] = [
    ("COLLECTOR_BATCH", "200ms"),
    ("COLLECTOR_DECISION_WAIT", "2s"),
    ("COLLECTOR_TRACE_PERCENTAGE", "100"),
    ("COLLECTOR_SPANMETRICS_INTERVAL", "1s"),
    ("COLLECTOR_LOG_LEVEL", "warn"),
];

fn quick() -> Vec<(&'static str, String)> {
    QUICK.map(|(name, value)| (name, value.to_owned())).to_vec()
}

impl Watched {
    async fn start() -> Result<Self, Outcome> {
        let options = ObservabilityOptions {
            environment: quick(),
            interval: Some("1s"),
            quick_rules: true,
            ..ObservabilityOptions::default()
        };
        let observability = needed(Observability::start(options).await)?;
        let ports = observability.ports;
        let provider = Provider::start().await;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let env = [
            ("GOBLIN_AUTH__MODE", "required"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
            // Some of the traffic fails by intention, and there is one provider.
            ("GOBLIN_BREAKER__MIN_CALLS", "1000"),
        ];
        let options = StackOptions {
            upstream: Some(provider.base_url()),
            backend_otlp: Some(OtlpTarget {
                endpoint: format!("http://127.0.0.1:{}", ports.otlp_grpc),
                protocol: "grpc",
            }),
            edge_otlp: Some(format!("http://127.0.0.1:{}", ports.otlp_http)),
            backend: BackendOptions { env: env.map(owned).to_vec(), ..BackendOptions::default() },
            edge: EdgeOptions {
                vars: UNLIMITED.into_iter().chain([("OTEL_BSP_SCHEDULE_DELAY", "100")]).map(owned).collect(),
                ..EdgeOptions::default()
            },
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await.unwrap();
        let backend = format!("http://{}/readyz", stack.backend.operations());
        observability.probe(&[("edge", stack.edge.url("/healthz")), ("backend", backend)]).unwrap();
        Ok(Self { stack, provider, observability })
    }

    /// The one that tests share which leave its servers alone.
    async fn shared() -> Result<&'static Self, Outcome> {
        SHARED.get_or_try_init(Self::start).await
    }

    fn ask(&self) -> Asking {
        Asking::new(self.observability.ports)
    }

    /// Something of everything.
    async fn traffic(&self) {
        let door = client::Door::from(&self.stack);
        let post = async |path: &str, body: &Value| send(client::post(&door, path, body)).await;
        for stream in [false, true] {
            post("/v1/chat/completions", &self.provider.ask("hello", json!({"stream": stream}))).await.assert_served();
            post("/v1/chat/completions", &self.provider.ask(FAIL, json!({"stream": stream}))).await;
        }
        // Of the tier of its answer the catalogue has no price.
        let without_price = self.provider.ask(QUOTE, json!({}));
        post("/v1/chat/completions", &without_price).await.assert_served();
        let created: Value = serde_json::from_str(&post("/v1/conversations", &json!({})).await.body).unwrap();
        let turn = self.provider.ask("hello", json!({"conversation_id": created["id"]}));
        post("/v1/chat/completions", &turn).await.assert_served();
        send(client::request(Method::GET, &door, "/v1/models")).await.assert_served();
    }
}

async fn a_request_is_found_hop_by_hop() -> Outcome {
    let watched = match Watched::shared().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    let body = watched.provider.ask("hello", json!({"stream": true}));
    let response = chat(&watched.stack, &body).await;
    assert_eq!(response.status(), 200);
    let trace = trace_id(&response);
    let request_id = client::header(&response, "x-request-id").unwrap();
    response.text().await.unwrap();

    let spans = watched.ask().trace(&trace, 4).await;
    let named = |service: &str, name: &str| {
        let found = spans.iter().find(|span| span.service == service && span.name == name);
        found.unwrap_or_else(|| panic!("no span {name} of {service} among {spans:#?}"))
    };
    let call = named("goblin-backend", "chat gpt-4o-mini");
    let backend = named("goblin-backend", "POST /v1/chat/completions");
    assert_eq!(call.parent, backend.id);
    let attempt = spans.iter().find(|span| span.id == backend.parent).expect("the edge's attempt");
    assert_eq!(attempt.service, "goblin-edge");
    let edge = spans.iter().find(|span| span.id == attempt.parent).expect("the edge's request");
    assert_eq!((edge.service.as_str(), edge.parent.as_str()), ("goblin-edge", ""));
    assert_eq!(edge.tag("goblin.request.id"), Some(request_id.as_str()));

    let lines = watched.ask().lines(&format!(r#"{{service_name="goblin-backend"}} | trace_id="{trace}""#), 1).await;
    assert!(lines.iter().any(|line| line.contains("request")), "{lines:?}");
    Outcome::Passed
}

/// Metrics that come only when something is lost, which nothing should be.
const ONLY_WHEN_LOST: [&str; 1] = ["goblin.telemetry.dropped"];

async fn every_metric_is_in_prometheus() -> Outcome {
    let watched = match Watched::shared().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    watched.traffic().await;
    let mut missing: BTreeSet<String> = METRICS
        .iter()
        .filter(|metric| !ONLY_WHEN_LOST.contains(&metric.name))
        .flat_map(Metric::prometheus_series)
        .collect();
    let asking = watched.ask();
    let all_there = async {
        while !missing.is_empty() {
            let names = asking.metric_names().await;
            missing.retain(|name| !names.contains(name));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, all_there).await.is_err() {
        let names = asking.metric_names().await;
        panic!("Prometheus has no {missing:?}; it has {names:?}");
    }
    // Exemplars lead from a duration to a trace.
    let exemplars = asking.exemplars("traces_spanmetrics_duration_seconds_bucket").await;
    assert!(exemplars.iter().all(|trace| trace.len() == 32), "{exemplars:?}");
    Outcome::Passed
}

/// Jaeger and Loki are killed under traffic, then the Collector is ended in good order with what waits for them; all of it
/// arrives once they are back.
async fn what_was_told_meanwhile_arrives() -> Outcome {
    let watched = match Watched::start().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    let observability = &watched.observability;
    for part in [Part::Jaeger, Part::Loki] {
        observability.stop_part(part, Signal::SIGKILL).await.unwrap();
    }
    let mut traces = Vec::new();
    for _ in 0..20 {
        let response = chat(&watched.stack, &watched.provider.ask("hello", json!({}))).await;
        assert_eq!(response.status(), 200);
        traces.push(trace_id(&response));
        response.text().await.unwrap();
    }
    // Until both have decided what to keep, and tried in vain to hand it on.
    watched.ask().queued(2).await;
    observability.stop_part(Part::Collector, Signal::SIGTERM).await.unwrap();
    for part in [Part::Jaeger, Part::Loki, Part::Collector] {
        observability.start_part(part).await.unwrap();
    }
    for trace in &traces {
        watched.ask().trace(trace, 4).await;
        watched.ask().lines(&format!(r#"{{service_name="goblin-backend"}} | trace_id="{trace}""#), 1).await;
    }
    Outcome::Passed
}
