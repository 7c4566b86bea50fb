//! Collectors that are away, slow, or out of their minds: requests do not notice, and what is lost is counted.

use std::{collections::HashSet, time::Duration};

use goblin_tests::{
    backend::{Backend, BackendOptions},
    otlp_sink::{Mood, OtlpSink},
    patience::patiently,
    signing_key,
    stack::start_backend,
};
use http::StatusCode;
use reqwest::Client;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use super::exposition::{Series, whole};
use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_collector_that_refuses_is_in_nobodys_way", a_collector_that_refuses_is_in_nobodys_way);
    suite.test("a_collector_that_hangs_is_in_nobodys_way", a_collector_that_hangs_is_in_nobodys_way);
    suite.test("an_absent_collector_is_in_nobodys_way", an_absent_collector_is_in_nobodys_way);
    suite.test("what_a_collector_rejects_in_part_is_counted", what_a_collector_rejects_in_part_is_counted);
    suite.test("a_collector_that_babbles_is_in_nobodys_way", a_collector_that_babbles_is_in_nobodys_way);
}

const REQUESTS: usize = 200;
const CALLERS: usize = 8;

/// Small queues, so that they overflow, and short patience.
const SETTINGS: [(&str, &str); 14] = [
    ("GOBLIN_EDGE__SIGNATURE", "off"),
    ("GOBLIN_AUTH__MODE", "off"),
    ("GOBLIN_STORE__URL", "none"),
    ("GOBLIN_PROVIDERS__DEMO__ENABLED", "true"),
    ("GOBLIN_PROVIDERS__DEMO__TOKEN_INTERVAL", "0ms"),
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "40"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "40"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "20"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "300"),
];

async fn start(endpoint: &str) -> Backend {
    let more = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
    let env = SETTINGS.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let options = BackendOptions { env, ..BackendOptions::default() };
    start_backend(&signing_key::fresh("test").unwrap(), None, None, options).await.unwrap()
}

/// All of them are answered.
async fn ask(backend: &Backend, requests: usize) {
    let (client, url) = (Client::new(), format!("http://{}/v1/chat/completions", backend.service()));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, url) = (client.clone(), url.clone());
        callers.spawn(async move {
            let body = json!({"model": "goblin-demo", "messages": [{"role": "user", "content": "hello"}]});
            for _ in 0..requests / CALLERS {
                let answer = client.post(&url).json(&body).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
                answer.bytes().await.unwrap();
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

/// Spans of the backend that came, be it twice: what is not acknowledged in time is sent again.
fn arrived(sink: &OtlpSink) -> u64 {
    let spans = sink.spans();
    let own = spans.iter().filter(|span| span.service == "goblin-backend");
    own.map(|span| span.span_id.as_str()).collect::<HashSet<_>>().len() as u64
}

fn lost(series: &Series, signal: &str, reasons: &[&str]) -> u64 {
    let is_it = |labels: &super::exposition::Labels| {
        labels["signal"] == signal && (reasons.is_empty() || reasons.contains(&labels["reason"].as_str()))
    };
    let series =
        series.0.iter().filter(|((name, labels), _)| name == "goblin_telemetry_dropped_total" && is_it(labels));
    series.map(|(_, value)| whole(*value)).sum()
}

/// Every span that was made has arrived or is counted as lost.
async fn assert_spans_add_up(backend: &Backend, sink: &OtlpSink) -> Series {
    let mut told = String::new();
    let adding_up = async {
        loop {
            let series = Series::fetch(backend).await;
            let made = whole(series.sum("http_server_request_duration_seconds_count"))
                + whole(series.sum("goblin_llm_attempts_total"));
            let (came, gone) = (arrived(sink), lost(&series, "traces", &["queue_full", "export_failed", "panicked"]));
            told = format!("{made} spans were made, {came} came and {gone} are counted as lost");
            if made == came + gone {
                return series;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    let added = tokio::time::timeout(Duration::from_secs(30), adding_up).await;
    added.unwrap_or_else(|_| panic!("{told}"))
}

/// As soon as it can be had, telemetry goes on.
async fn assert_comes_back(backend: &Backend, sink: &OtlpSink) {
    let before = arrived(sink);
    sink.be(Mood::Takes);
    ask(backend, CALLERS).await;
    let coming = async {
        while arrived(sink) == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(coming, || "no span came after the collector had come to its senses".to_owned()).await;
}

async fn a_collector_that_refuses_is_in_nobodys_way() {
    let sink = OtlpSink::start().await.unwrap();
    sink.be(Mood::Refuses(StatusCode::BAD_REQUEST));
    let backend = start(&sink.http_endpoint()).await;
    ask(&backend, REQUESTS).await;
    let series = assert_spans_add_up(&backend, &sink).await;
    assert_eq!(arrived(&sink), 0);
    for signal in ["traces", "metrics", "logs"] {
        assert!(lost(&series, signal, &["export_failed"]) > 0, "{signal}: {series:?}");
    }
    assert_comes_back(&backend, &sink).await;
    assert_spans_add_up(&backend, &sink).await;
}

async fn a_collector_that_hangs_is_in_nobodys_way() {
    let sink = OtlpSink::start().await.unwrap();
    sink.be(Mood::Hangs);
    let backend = start(&sink.http_endpoint()).await;
    ask(&backend, REQUESTS).await;
    let series = assert_spans_add_up(&backend, &sink).await;
    assert!(lost(&series, "traces", &["queue_full"]) > 0 && lost(&series, "traces", &["export_failed"]) > 0);
    assert!(lost(&series, "logs", &[]) > 0);
    assert_comes_back(&backend, &sink).await;
    assert_spans_add_up(&backend, &sink).await;
}

async fn an_absent_collector_is_in_nobodys_way() {
    let sink = OtlpSink::start().await.unwrap();
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let backend = start(&format!("http://{free}")).await;
    ask(&backend, REQUESTS).await;
    let series = assert_spans_add_up(&backend, &sink).await;
    assert!(lost(&series, "traces", &["export_failed"]) > 0 && lost(&series, "logs", &[]) > 0);
    // It says so, and not once for each request.
    let complaints = backend.logs().iter().filter(|line| line["message"] == "telemetry could not be exported").count();
    assert!((1..=REQUESTS).contains(&complaints), "{complaints} complaints");
    backend.terminate(Duration::from_secs(20)).await;
}

async fn what_a_collector_rejects_in_part_is_counted() {
    let sink = OtlpSink::start().await.unwrap();
    sink.be(Mood::RejectsOne);
    let backend = start(&sink.http_endpoint()).await;
    ask(&backend, CALLERS).await;
    let series = assert_spans_add_up(&backend, &sink).await;
    for signal in ["traces", "metrics", "logs"] {
        assert!(lost(&series, signal, &["rejected"]) > 0, "{signal}: {series:?}");
    }
    assert_eq!(lost(&series, "traces", &["export_failed"]), 0);
}

async fn a_collector_that_babbles_is_in_nobodys_way() {
    let sink = OtlpSink::start().await.unwrap();
    sink.be(Mood::Babbles);
    let backend = start(&sink.http_endpoint()).await;
    ask(&backend, REQUESTS).await;
    assert_comes_back(&backend, &sink).await;
}
