//! What the environment says of telemetry, and what operators change while the program runs.

use std::time::Duration;

use goblin_tests::{
    backend::{Backend, BackendOptions, field, run},
    otlp_sink::OtlpSink,
    patience::PATIENCE,
    signing_key,
    stack::start_backend,
    tls_proxy::TlsProxy,
    upstream::{Script, Upstream},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::exposition::Series;
use crate::{
    accounting::bench::{Bench, chat},
    answered::send,
    client::{self, Door, header},
    suite::Suite,
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("telemetry_can_be_switched_off", telemetry_can_be_switched_off);
    suite.test("telemetry_can_go_to_the_console", telemetry_can_go_to_the_console);
    suite.test("a_collector_can_be_behind_tls_both_ways", a_collector_can_be_behind_tls_both_ways);
    suite.test("what_cannot_be_obeyed_ends_the_start", what_cannot_be_obeyed_ends_the_start);
    suite.test("traces_can_be_named_in_b3", traces_can_be_named_in_b3);
    suite.test("the_edge_reads_b3_where_it_is_told_to", the_edge_reads_b3_where_it_is_told_to);
    suite.test("the_level_of_the_log_changes_while_it_runs", the_level_of_the_log_changes_while_it_runs);
}

/// One that anybody may ask, with an upstream or the demo behind it.
pub(crate) async fn start(upstream: Option<&str>, env: &[(&str, &str)]) -> Backend {
    let open = [("GOBLIN_EDGE__SIGNATURE", "off"), ("GOBLIN_AUTH__MODE", "off"), ("GOBLIN_STORE__URL", "none")];
    let env = open.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = BackendOptions { env, ..BackendOptions::default() };
    start_backend(&signing_key::fresh("test").unwrap(), upstream, None, options).await.unwrap()
}

fn hello() -> Value {
    json!({"model": "goblin-demo", "messages": [{"role": "user", "content": "hello"}]})
}

async fn ask(backend: &Backend) {
    send(client::post(backend.service(), "/v1/chat/completions", &hello())).await.assert_served();
}

async fn telemetry_can_be_switched_off() {
    let sink = OtlpSink::start().await.unwrap();
    let endpoint = sink.http_endpoint();
    for off in [("OTEL_SDK_DISABLED", "true"), ("ENABLE_OPENTELEMETRY", "false")] {
        let backend = start(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), off]).await;
        ask(&backend).await;
        let metrics = send(client::request(Method::GET, backend.operations(), "/metrics")).await;
        assert_eq!(metrics.status, 404);
        assert!(metrics.body.contains("OTEL_METRICS_EXPORTER"), "{metrics:?}");
        // Ids go on: lines lead to answers, and providers are told of the trace.
        let line = backend.wait_for_log(|line| field(line, "message").is_some_and(|text| text == "request")).await;
        assert_eq!(field(&line.unwrap(), "trace_id").and_then(Value::as_str).map(str::len), Some(32));
        backend.terminate(PATIENCE).await;
    }
    assert!(sink.spans().is_empty() && sink.points().is_empty() && sink.logs().is_empty());
}

async fn telemetry_can_go_to_the_console() {
    let env = [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "console,prometheus"),
        ("OTEL_SERVICE_NAME", "shown-here"),
        ("OTEL_SERVICE_VERSION", "7.7.7"),
    ];
    let backend = start(None, &env).await;
    ask(&backend).await;
    assert!(Series::fetch(&backend).await.sum("goblin_llm_requests_total") > 0.0);
    backend.terminate(PATIENCE).await;
    let shown = backend.process().log().lines().join("\n");
    for part in ["shown-here", "7.7.7", "chat goblin-demo", "goblin.llm.requests"] {
        assert!(shown.contains(part), "{part} is not shown in {shown}");
    }
}

async fn a_collector_can_be_behind_tls_both_ways() {
    for protocol in ["http/protobuf", "grpc"] {
        let sink = OtlpSink::start().await.unwrap();
        let plain = if protocol == "grpc" { sink.grpc_endpoint() } else { sink.http_endpoint() };
        let proxy = TlsProxy::start(plain.trim_start_matches("http://").parse().unwrap()).await.unwrap();
        let path = |name: &str| proxy.folder().join(name).to_str().unwrap().to_owned();
        let (authority, certificate, key) = (path("authority.pem"), path("client.pem"), path("client.key"));
        let endpoint = format!("https://localhost:{}", proxy.port());
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ];
        let shown =
            [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.as_str()), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key)];
        // Who shows no certificate is not let in.
        let stranger = start(None, &env).await;
        ask(&stranger).await;
        stranger
            .wait_for_log(|line| field(line, "message").is_some_and(|text| text == "telemetry could not be exported"))
            .await
            .unwrap();
        stranger.terminate(PATIENCE).await;
        assert!(sink.spans().is_empty(), "{protocol}");

        let backend = start(None, &[&env[..], &shown].concat()).await;
        ask(&backend).await;
        sink.wait_for_point(|point| point.name == "goblin.llm.requests").await;
        sink.wait_for_log(|log| log.body == "request").await;
        backend.terminate(PATIENCE).await;
        assert!(sink.spans().iter().any(|span| span.name == "chat goblin-demo"), "{protocol}");
    }
}

async fn what_cannot_be_obeyed_ends_the_start() {
    let env = [("GOBLIN_EDGE__SIGNATURE", "off"), ("GOBLIN_AUTH__MODE", "off"), ("GOBLIN_STORE__URL", "none")];
    for (variable, reason) in [
        (("OTEL_TRACES_EXPORTER", "zipkin"), "must be `otlp`, `console` or `none`"),
        (("OTEL_EXPORTER_PROMETHEUS_PORT", "9090"), "GOBLIN_OPERATIONS__LISTEN"),
        (("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"), "cannot be read"),
    ] {
        let env = [&env[..], &[variable]].concat();
        let output = run(&["serve"], &env).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(variable.0) && said.contains(reason), "{said}");
    }
}

const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";

async fn traces_can_be_named_in_b3() {
    let upstream = Upstream::start().await.unwrap();
    let scenario = upstream.script(Script::Friendly);
    let backend = start(Some(&upstream.base_url()), &[("OTEL_PROPAGATORS", "tracecontext,b3multi")]).await;
    let body = scenario.ask("gpt-4o-mini", "hello", json!({}));
    let request = client::post(backend.service(), "/v1/chat/completions", &body);
    let request = request.header("x-b3-traceid", TRACE).header("x-b3-spanid", "e457b5a2e4d86bd1");
    send(request).await.assert_served();
    let received = scenario.request().await;
    assert_eq!(received.header("x-b3-traceid"), Some(TRACE));
    assert_eq!(received.header("x-b3-sampled"), Some("1"));
    let traceparent = received.header("traceparent").unwrap_or_default().to_owned();
    let span = received.header("x-b3-spanid").unwrap_or_default();
    assert_eq!(traceparent, format!("00-{TRACE}-{span}-01"));
}

async fn the_edge_reads_b3_where_it_is_told_to() {
    let sink = OtlpSink::start().await.unwrap();
    for (propagators, continued) in [("b3", true), ("tracecontext", false)] {
        let watched = WatchedEdge::start(&sink, &[("OTEL_PROPAGATORS", propagators)]).await.unwrap();
        let request = client::request(Method::GET, Door::with_key(&watched.edge, &watched.api_key), "/v1/models");
        let answer = request.header("b3", format!("{TRACE}-e457b5a2e4d86bd1-1")).send().await.unwrap();
        let trace = client::trace_id(&answer);
        assert_eq!(trace == TRACE, continued, "{propagators}: {trace}");
        watched.edge.terminate().await;
    }
}

async fn the_level_of_the_log_changes_while_it_runs() {
    let bench = Bench::over_sqlite().await;
    let (admin, key) = (bench.key(&["--scopes", "admin"]).await, bench.key(&[]).await);
    let backend = bench.start().await;
    let http = Client::new();
    let url = format!("http://{}/admin/log-level", backend.operations());
    let level = async |answer: reqwest::Response| {
        assert_eq!(answer.status(), 200, "{answer:?}");
        let body: Value = answer.json().await.unwrap();
        (body["level"].as_str().unwrap().to_owned(), body["configured"].as_str().unwrap().to_owned())
    };
    let put = |body: Value| http.put(&url).bearer_auth(&admin).json(&body).send();
    let before = level(http.get(&url).bearer_auth(&admin).send().await.unwrap()).await;
    assert_eq!(before, ("info".to_owned(), "info".to_owned()));

    let probe = async || {
        let path = format!("http://{}/healthz", backend.operations());
        let answer = http.get(path).send().await.unwrap();
        header(&answer, "x-request-id").expect("an id")
    };
    let is_of = |line: &Value, id: &str| field(line, "request_id").is_some_and(|told| told == id);
    let quiet = probe().await;
    let loud = put(json!({"level": "warn,goblin_backend::http=debug"})).await.unwrap();
    assert_eq!(level(loud).await.0, "warn,goblin_backend::http=debug");
    let heard = probe().await;
    backend.wait_for_log(|line| is_of(line, &heard)).await.unwrap();
    assert!(!backend.logs().iter().any(|line| is_of(line, &quiet)), "probes are for those who look closely");

    let wrong = put(json!({"level": "loud=="})).await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("must be a level such as `info`"));
    let back = level(put(json!({})).await.unwrap()).await;
    assert_eq!(back, before);
    let stranger = http.put(&url).bearer_auth(&key).json(&json!({"level": "off"})).send().await.unwrap();
    assert_eq!(stranger.status(), 403);
    let answer = chat(&http, &backend, &key, &bench.provider.ask("hello", json!({}))).send().await.unwrap();
    let id = header(&answer, "x-request-id").expect("an id");
    backend.wait_for_log(|line| is_of(line, &id)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
}
