//! After a run of mixed traffic client, collector, `/metrics`, ledger and log agree on every count, to the last one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use goblin_shared::vocabulary::{METRICS, MetricKind};
use goblin_tests::{
    api_key::mint_api_key,
    backend::{Backend, field},
    ledger_reader::LedgerRow,
    otlp_sink::{MetricPoint, OtlpSink, PointValue, Span, SpanKind},
    patience::{PATIENCE, patiently},
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::exposition::{Labels, Series, whole};
use crate::{
    accounting::{
        bench::Bench,
        provider::{FAIL, HOLD},
    },
    client::header,
    suite::Suite,
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("all_who_count_agree", all_who_count_agree);
}

const CALLERS: usize = 16;

/// What the operator asks before he asks for the objectives, and that.
const OPERATORS: u64 = 6;

/// How a caller asks, and how often.
const TRAFFIC: [(Kind, usize); 15] = [
    (Kind::Unary, 500),
    (Kind::Stream, 500),
    (Kind::Messages, 100),
    (Kind::StreamedMessages, 100),
    (Kind::Embeddings, 100),
    (Kind::Fails, 150),
    (Kind::StreamFails, 100),
    (Kind::Leaves, 60),
    (Kind::Converses, 100),
    (Kind::BadKey, 100),
    (Kind::NoKey, 100),
    (Kind::Limited, 100),
    (Kind::NoJson, 100),
    (Kind::UnknownModel, 60),
    (Kind::Nowhere, 40),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unary,
    Stream,
    Messages,
    StreamedMessages,
    Embeddings,
    Fails,
    StreamFails,
    Leaves,
    /// A conversation of its own, and a turn in it.
    Converses,
    BadKey,
    NoKey,
    Limited,
    NoJson,
    UnknownModel,
    Nowhere,
}

/// How series begin that say what is the case at a moment.
const MADE_FROM_TIME_TO_TIME: [&str; 7] = [
    "goblin_conversation_length",
    "goblin_conversations_abandonment",
    "goblin_llm_request_cost",
    "goblin_llm_request_share",
    "goblin_runtime",
    "goblin_slo",
    "goblin_users",
];

/// What a client counts: by method, path and status; without one it left.
type Seen = BTreeMap<(&'static str, &'static str, String), u64>;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const EMBEDDINGS: &str = "/v1/embeddings";
const CONVERSATIONS: &str = "/v1/conversations";
/// As OpenTelemetry has it where no route is known: none.
const NO_ROUTE: &str = "";

struct Caller {
    client: Client,
    bench: Bench,
    backend: Backend,
    key: String,
    limited: String,
    admin: String,
    /// Made as it must be, and unknown.
    unknown: String,
}

async fn all_who_count_agree() {
    let sink = OtlpSink::start().await.unwrap();
    let bench = Bench::over_sqlite().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", sink.http_endpoint());
    let bench = [("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_BLRP_SCHEDULE_DELAY", "100")]
        .into_iter()
        .chain([("OTEL_METRIC_EXPORT_INTERVAL", "200"), ("OTEL_BSP_MAX_QUEUE_SIZE", "100000")])
        .chain([("OTEL_BLRP_MAX_QUEUE_SIZE", "100000")])
        .fold(bench, |bench, (name, value)| bench.with(name, value));
    let caller = Arc::new(Caller {
        client: Client::new(),
        key: bench.key(&["--user", "ann"]).await,
        admin: bench.key(&["--scopes", "admin"]).await,
        limited: bench.key(&["--tokens-per-minute", "1"]).await,
        unknown: mint_api_key(&bench.issuer_secret).await.unwrap(),
        backend: bench.start().await,
        bench,
    });
    let seen = Caller::all(&caller).await;
    let total: u64 = seen.values().sum();
    assert!(total >= 2_000, "{total} requests are few");
    caller.bench.provider.release();

    let rows = caller.settled().await;
    let (series, points) = caller.at_rest(&sink, &seen).await;
    assert_eq!(by_route(&series), seen, "requests, as /metrics and clients count them");
    assert_agree(&series, &points);
    assert_vocabulary(&latest(&sink.points()));
    assert_ledger(&series, &rows, &seen);
    assert_calls(&series, caller.bench.provider.count() as u64, &rows);
    assert_eq!(whole(series.sum("goblin_telemetry_dropped_total")), 0);
    let spans = caller.spans(&sink, total, caller.bench.provider.count()).await;
    assert_families(&spans);
    caller.assert_log(&sink, &seen).await;
    caller.assert_analytics(&rows).await;
    caller.assert_objectives(&series, &seen).await;
}

impl Caller {
    async fn all(caller: &Arc<Self>) -> Seen {
        let kinds: Vec<Kind> = TRAFFIC.into_iter().flat_map(|(kind, count)| vec![kind; count]).collect();
        // Mixed, the same way each time: a step that shares no factor with the length visits all.
        let mixed: Vec<Kind> = (0..kinds.len()).map(|index| kinds[index * 997 % kinds.len()]).collect();
        let (kinds, next) = (Arc::new(mixed), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (caller, kinds, next) = (caller.clone(), kinds.clone(), next.clone());
            callers.spawn(async move {
                let mut seen = Seen::new();
                while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    caller.act(*kind, &mut seen).await;
                }
                seen
            });
        }
        let mut all = Seen::new();
        while let Some(seen) = callers.join_next().await {
            for (what, count) in seen.unwrap() {
                *all.entry(what).or_default() += count;
            }
        }
        all
    }

    fn post(&self, path: &str, key: Option<&str>, body: &Value) -> RequestBuilder {
        let request = self.client.post(format!("http://{}{path}", self.backend.service())).json(body);
        match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn act(&self, kind: Kind, seen: &mut Seen) {
        let provider = &self.bench.provider;
        let key = Some(self.key.as_str());
        let ask = |text: &str, more: Value| provider.ask(text, more);
        let (path, request) = match kind {
            Kind::Unary => (CHAT, self.post(CHAT, key, &ask("hello", json!({})))),
            Kind::Stream => (CHAT, self.post(CHAT, key, &ask("hello", json!({"stream": true})))),
            Kind::Messages => (MESSAGES, self.post(MESSAGES, key, &ask("hello", json!({"max_tokens": 9})))),
            Kind::StreamedMessages => {
                (MESSAGES, self.post(MESSAGES, key, &ask("hello", json!({"max_tokens": 9, "stream": true}))))
            }
            Kind::Embeddings => {
                let body =
                    json!({"model": "text-embedding-3-small", "input": provider.ask("hello", json!({})).to_string()});
                (EMBEDDINGS, self.post(EMBEDDINGS, key, &body))
            }
            Kind::Fails => (CHAT, self.post(CHAT, key, &ask(FAIL, json!({})))),
            Kind::StreamFails => (CHAT, self.post(CHAT, key, &ask(FAIL, json!({"stream": true})))),
            Kind::Leaves => return self.leave(seen).await,
            Kind::Converses => return self.converse(seen).await,
            Kind::BadKey => (CHAT, self.post(CHAT, Some(&self.unknown), &ask("hello", json!({})))),
            Kind::NoKey => (CHAT, self.post(CHAT, None, &ask("hello", json!({})))),
            Kind::Limited => (CHAT, self.post(CHAT, Some(&self.limited), &ask("hello", json!({})))),
            Kind::NoJson => (CHAT, self.post(CHAT, key, &json!(null)).body("{")),
            Kind::UnknownModel => (CHAT, self.post(CHAT, key, &json!({"model": "nobodys", "messages": []}))),
            Kind::Nowhere => (NO_ROUTE, self.post("/nobodys/path", key, &json!({}))),
        };
        count(seen, "POST", path, request).await;
    }

    /// Goes before the answer has begun.
    async fn leave(&self, seen: &mut Seen) {
        let body = self.bench.provider.ask(HOLD, json!({"stream": true}));
        let calls = self.bench.provider.held();
        let request = self.post(CHAT, Some(&self.key), &body).send();
        let held = async {
            while self.bench.provider.held() <= calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // Long enough for the call of this one too, whoever's was the first.
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        tokio::select! {
            answer = request => panic!("an answer that was held: {answer:?}"),
            () = held => {}
        }
        *seen.entry(("POST", CHAT, String::new())).or_default() += 1;
    }

    async fn converse(&self, seen: &mut Seen) {
        let key = Some(self.key.as_str());
        let created = count(seen, "POST", CONVERSATIONS, self.post(CONVERSATIONS, key, &json!({}))).await;
        let created: Value = serde_json::from_str(&created).unwrap();
        let body = self.bench.provider.ask("hello", json!({"conversation_id": created["id"]}));
        count(seen, "POST", CHAT, self.post(CHAT, key, &body)).await;
    }

    /// The ledger, once nothing is open in it.
    async fn settled(&self) -> Vec<LedgerRow> {
        let mut reader = self.bench.reader().await;
        let settling = async {
            loop {
                let rows = reader.rows().await.unwrap();
                if rows.iter().all(|row| row.outcome.is_some()) {
                    return rows;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let rows = timeout(Duration::from_mins(1), settling).await.expect("rows of the ledger stay open");
        reader.close().await.unwrap();
        rows
    }

    /// `/metrics` and what the collector got last, once both have all requests.
    async fn at_rest(&self, sink: &OtlpSink, seen: &Seen) -> (Series, Series) {
        let complete = |series: &Series| by_route(series) == *seen;
        let mut fetched = Series::default();
        let waiting = async {
            loop {
                fetched = Series::fetch(&self.backend).await;
                let sent = Series::of_points(&latest(&sink.points()));
                if complete(&fetched) && complete(&sent) {
                    return sent;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let Ok(sent) = timeout(Duration::from_mins(1), waiting).await else {
            panic!("clients saw {seen:#?}\n/metrics has {:#?}", by_route(&fetched));
        };
        (fetched, sent)
    }

    /// Spans of the backend, once those of all requests and calls are there.
    async fn spans(&self, sink: &OtlpSink, requests: u64, calls: usize) -> Vec<Span> {
        let of = |spans: &[Span], kind: SpanKind| spans.iter().filter(|span| span.kind == kind).count();
        let collected = || -> Vec<Span> {
            let is_own = |span: &Span| span.service == "goblin-backend" && !is_of_operators(span);
            sink.spans().into_iter().filter(is_own).collect()
        };
        let is_complete = |spans: &[Span]| {
            let called = spans.iter().filter(|span| span.attributes.contains_key("gen_ai.operation.name"));
            of(spans, SpanKind::Server) as u64 == requests && called.count() == calls
        };
        let waiting = async {
            loop {
                let spans = collected();
                if is_complete(&spans) {
                    return spans;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        patiently(waiting, || format!("{} of {requests} requests are spans", of(&collected(), SpanKind::Server))).await
    }

    /// Each request has a line, of which the collector got a copy, and every line of a request names its trace.
    async fn assert_log(&self, sink: &OtlpSink, seen: &Seen) {
        let requests: u64 = seen.values().sum();
        let is_request = |line: &Value| field(line, "message").is_some_and(|message| message == "request");
        let lines = self.backend.logs();
        let written = lines.iter().filter(|line| is_request(line)).count() as u64;
        assert_eq!(written, requests, "lines of requests");
        for line in lines.iter().filter(|line| field(line, "request_id").is_some()) {
            let text = |name| field(line, name).and_then(Value::as_str).unwrap_or_default().len();
            assert_eq!((text("trace_id"), text("span_id"), text("trace_flags")), (32, 16, 2), "{line}");
        }
        let sent = || {
            let is_it = |log: &&goblin_tests::otlp_sink::LogRecord| log.body == "request" && log.trace_id.len() == 32;
            sink.logs().iter().filter(is_it).count() as u64
        };
        let waiting = async {
            while sent() < requests {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        patiently(waiting, || format!("{} of {requests} lines came to the collector", sent())).await;
        assert_eq!(sent(), requests);
    }
}

impl Caller {
    /// What the figures of the business are made of, right after it happened.
    async fn assert_analytics(&self, rows: &[LedgerRow]) {
        let ask = async |figure: &str| -> Value {
            let url = format!("http://{}/admin/analytics/{figure}", self.backend.operations());
            let answer = self.client.get(url).bearer_auth(&self.admin).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.json().await.unwrap()
        };
        let sum = |told: &Value, column: &str| -> u64 {
            told["data"].as_array().unwrap().iter().filter_map(|row| row[column].as_u64()).sum()
        };
        let called = rows.iter().filter(|row| row.provider.is_some());
        let providers = ask("providers").await;
        assert_eq!(sum(&providers, "requests"), called.clone().count() as u64);
        assert_eq!(sum(&providers, "completed"), rows.iter().filter(|row| row.is("completed")).count() as u64);
        assert_eq!(sum(&providers, "calls"), called.clone().filter_map(|row| row.attempts).sum::<u64>());
        let tokens = ask("tokens").await;
        let prompts: u64 = called.clone().filter_map(|row| row.prompt_tokens).sum();
        assert_eq!(tokens["prompt_tokens"].as_u64(), Some(prompts));
        let spent: u64 = called.filter_map(|row| row.cost_nano_usd).sum();
        let told = ask("cost").await["cost_usd"].as_str().unwrap().parse::<f64>().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "costs of tests are small")]
        let off = told - spent as f64 / 1e9;
        assert!(off.abs() < 1e-9, "{told} is told of {spent}");
        let users: BTreeSet<&str> = rows.iter().map(|row| row.user.as_str()).collect();
        assert_eq!(ask("users").await["daily"].as_u64(), Some(users.len() as u64));
        let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row.conversation_id.as_deref()).collect();
        assert_eq!(ask("conversations").await["started"].as_u64(), Some(ids.len() as u64));
    }

    /// What the objectives are judged by, as an operator sees it, at `/metrics`, and after the end in the store.
    async fn assert_objectives(&self, series: &Series, seen: &Seen) {
        let url = format!("http://{}/admin/slo", self.backend.operations());
        let answer = self.client.get(url).bearer_auth(&self.admin).send().await.unwrap();
        let told: Value = answer.json().await.unwrap();
        // More decisions on who asks: those on the operator.
        let attempts = series.by("goblin_auth_attempts_total", "outcome").values().sum::<u64>() + OPERATORS;
        let requests = series.by("goblin_llm_requests_total", "outcome");
        let of = |outcome: &str| requests.get(outcome).copied().unwrap_or_default();
        let is_api = |(_, path, status): &&(&str, &str, String)| {
            *path != NO_ROUTE && !["", "401", "402", "403", "429"].contains(&status.as_str())
        };
        let api = |is_good: fn(&str) -> bool| -> u64 {
            seen.iter().filter(|(key, _)| is_api(key) && is_good(&key.2)).map(|(_, count)| count).sum()
        };
        let expected = [
            ("auth", attempts, attempts),
            ("llm", of("answered"), of("answered") + of("failed") + of("unavailable")),
            ("api", api(|status| !status.starts_with('5')), api(|_| true)),
        ];
        for (id, good, valid) in expected {
            let slo = objective(&told, id);
            assert_eq!((slo["good"].as_u64(), slo["valid"].as_u64()), (Some(good), Some(valid)), "{id}");
        }
        let latency = objective(&told, "chat-latency");
        let completed = series.by("goblin_chat_response_duration_seconds_count", "outcome")["completed"];
        assert_eq!(latency["valid"], completed);
        let labels = Labels::from([("slo".to_owned(), "llm".to_owned()), ("window".to_owned(), "30d".to_owned())]);
        let is_it = |(name, of): &(String, Labels)| {
            name == "goblin_slo_compliance_ratio" && labels.iter().all(|(label, value)| of.get(label) == Some(value))
        };
        let compliance = objective(&told, "llm")["compliance"].as_f64().unwrap();
        let shown = async {
            // Gauges are up to a second old.
            while !Series::fetch(&self.backend)
                .await
                .0
                .iter()
                .any(|(series, value)| is_it(series) && (value - compliance).abs() < 1e-9)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        patiently(shown, || format!("/metrics does not show the compliance of {compliance}")).await;

        self.backend.terminate(PATIENCE).await;
        let report: Value = serde_json::from_str(&self.bench.command(&["slo", "report", "--json"]).await).unwrap();
        for id in ["auth", "llm", "api", "chat-latency"] {
            for field in ["good", "valid", "history", "error_budget"] {
                assert_eq!(objective(&report, id)[field], objective(&told, id)[field], "{id} {field} in the store");
            }
        }
        let text = self.bench.command(&["slo", "report"]).await;
        assert!(text.contains("LLM availability  [llm]") && text.contains("budget    ["), "{text}");
    }
}

fn objective<'a>(report: &'a Value, id: &str) -> &'a Value {
    let data = report["data"].as_array().expect("objectives");
    data.iter().find(|slo| slo["id"] == id).unwrap_or_else(|| panic!("no {id} in {report}"))
}

/// Probes and who looks at `/metrics`, for which nobody counts here.
fn is_of_operators(span: &Span) -> bool {
    let route = span.attributes.get("http.route").and_then(Value::as_str).unwrap_or_default();
    is_operators(route)
}

fn is_operators(route: &str) -> bool {
    ["/readyz", "/healthz", "/metrics"].contains(&route)
}

/// Sends it, takes all of the answer, and counts it.
async fn count(seen: &mut Seen, method: &'static str, path: &'static str, request: RequestBuilder) -> String {
    let answer = request.send().await.expect("an answer");
    assert!(header(&answer, "x-request-id").is_some());
    *seen.entry((method, path, answer.status().as_u16().to_string())).or_default() += 1;
    answer.text().await.expect("a whole answer")
}

/// Requests by method, route and status.
fn by_route(series: &Series) -> Seen {
    let mut counts = Seen::new();
    for ((name, labels), value) in &series.0 {
        let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        if name != "http_server_request_duration_seconds_count" || is_operators(label("http_route")) {
            continue;
        }
        let route = [CHAT, MESSAGES, EMBEDDINGS, CONVERSATIONS, NO_ROUTE].into_iter();
        let route = route.clone().find(|known| *known == label("http_route")).expect("a route that was asked for");
        assert_eq!(label("http_request_method"), "POST");
        *counts.entry(("POST", route, label("http_response_status_code").to_owned())).or_default() += whole(*value);
    }
    counts
}

/// The last point of each series of the backend.
fn latest(points: &[MetricPoint]) -> Vec<MetricPoint> {
    let mut latest = BTreeMap::new();
    for point in points.iter().filter(|point| point.service == "goblin-backend") {
        if let PointValue::Sum { is_delta, .. } | PointValue::Histogram { is_delta, .. } = &point.value {
            assert!(!is_delta, "{} is a change", point.name);
        }
        latest.insert((point.name.clone(), format!("{:?}", point.attributes)), point.clone());
    }
    latest.into_values().collect()
}

/// Everything that counts, series by series. What moves by itself is left out: gauges, which are looked at by themselves,
/// the runtime's own figures, and requests for `/metrics`.
#[track_caller]
fn assert_agree(fetched: &Series, sent: &Series) {
    let counted = |series: &Series| {
        let is_still = |name: &str, labels: &Labels| {
            !MADE_FROM_TIME_TO_TIME.iter().any(|moving| name.starts_with(moving))
                && name != "target_info"
                && !labels.get("http_route").is_some_and(|route| is_operators(route))
                && labels.get("db_collection_name").is_none_or(|collection| collection == "conversations")
        };
        let kept = series.0.iter().filter(|((name, labels), _)| is_still(name, labels));
        let rounded = kept.map(|((name, labels), value)| {
            let labels = labels.iter().filter(|(label, _)| !label.starts_with("otel_scope"));
            let labels: Labels = labels.map(|(label, value)| (label.clone(), value.clone())).collect();
            ((name.clone(), labels), format!("{value:.9}"))
        });
        rounded.collect::<BTreeMap<_, _>>()
    };
    let (fetched, sent) = (counted(fetched), counted(sent));
    assert!(fetched.len() > 100, "{} series are few", fetched.len());
    for (series, value) in &fetched {
        assert_eq!(sent.get(series), Some(value), "{series:?}, as the collector and /metrics have it");
    }
    let missing: Vec<_> = sent.keys().filter(|series| !fetched.contains_key(series)).collect();
    assert!(missing.is_empty(), "only the collector has {missing:?}");
}

/// Every metric is one of the vocabulary, with its unit and no labels but its own.
#[track_caller]
fn assert_vocabulary(points: &[MetricPoint]) {
    for point in points {
        let metric = METRICS.iter().find(|metric| metric.name == point.name);
        let metric = metric.unwrap_or_else(|| panic!("{} is not in the vocabulary", point.name));
        assert_eq!(point.unit, metric.unit, "{}", point.name);
        for label in point.attributes.keys() {
            assert!(metric.labels.contains(&label.as_str()), "{} has {label}", point.name);
        }
        if let (PointValue::Histogram { bounds, .. }, MetricKind::Histogram(expected)) = (&point.value, metric.kind) {
            assert_eq!(bounds, expected, "{}", point.name);
        }
    }
}

/// What the ledger has.
#[track_caller]
fn assert_ledger(series: &Series, rows: &[LedgerRow], seen: &Seen) {
    let rows_that = |outcome: &str| rows.iter().filter(|row| row.is(outcome)).count() as u64;
    let requests = series.by("goblin_llm_requests_total", "outcome");
    let count = |outcome: &str| requests.get(outcome).copied().unwrap_or_default();
    assert_eq!(count("answered"), rows_that("completed"));
    assert_eq!(count("cancelled"), rows_that("cancelled"));
    assert_eq!(count("failed") + count("unavailable") + count("rejected"), rows_that("failed"));
    assert_eq!(requests.values().sum::<u64>(), rows.len() as u64);

    let of = |path: &str, status: &str| seen.get(&("POST", path, status.to_owned())).copied().unwrap_or_default();
    let served: u64 = [CHAT, MESSAGES, EMBEDDINGS].map(|path| of(path, "200")).iter().sum();
    assert_eq!(count("answered"), served);
    assert_eq!(count("cancelled"), of(CHAT, ""));
    assert_eq!(count("failed"), of(CHAT, "502"));

    let chats = rows.len() as u64 - of(EMBEDDINGS, "200");
    for name in ["goblin_chat_duration_seconds", "goblin_chat_response_duration_seconds"] {
        let outcomes = series.by(&format!("{name}_count"), "outcome");
        assert_eq!(outcomes.values().sum::<u64>(), chats, "{name}: {outcomes:?}");
        assert_eq!(outcomes["cancelled"], rows_that("cancelled"), "{name}");
        assert_eq!(outcomes["failed"], rows_that("failed"), "{name}");
    }

    let attempts = series.by("goblin_auth_attempts_total", "outcome");
    let refused: u64 = of(CHAT, "401");
    assert_eq!(attempts["rejected"], refused);
    assert_eq!(attempts.get("error"), None);
    let asked: u64 = seen.iter().filter(|((_, path, _), _)| *path != NO_ROUTE).map(|(_, count)| count).sum();
    assert_eq!(attempts["accepted"], asked - refused);

    let spent: u64 = rows.iter().filter_map(|row| row.cost_nano_usd).sum();
    #[expect(clippy::cast_precision_loss, reason = "costs of tests are small")]
    let off = series.sum("goblin_llm_cost_total") - spent as f64 / 1e9;
    assert!(spent > 0 && off.abs() < 1e-9, "{spent} billionths of a dollar were spent, and {off} dollars are missing");

    assert_eq!(whole(series.sum("goblin_conversations_started_total")), of(CONVERSATIONS, "201"));
    assert_eq!(whole(series.sum("goblin_conversation_turns_count")), of(CONVERSATIONS, "201"));
}

/// What the provider counted.
#[track_caller]
fn assert_calls(series: &Series, calls: u64, rows: &[LedgerRow]) {
    assert_eq!(whole(series.sum("goblin_llm_attempts_total")), calls);
    assert_eq!(rows.iter().filter_map(|row| row.attempts).sum::<u64>(), calls);
    assert_eq!(whole(series.sum("gen_ai_client_operation_duration_seconds_count")), calls);
    assert_eq!(whole(series.sum("http_client_request_duration_seconds_count")), calls);
    let tokens = |kind: &str| {
        let is_it = |labels: &Labels| labels.get("gen_ai_token_type").is_some_and(|told| told == kind);
        let sums =
            series.0.iter().filter(|((name, labels), _)| name == "gen_ai_client_token_usage_sum" && is_it(labels));
        whole(sums.map(|(_, value)| value).sum())
    };
    // What a call that was given up cost is estimated, and no report of a provider's.
    let told = |of: fn(&LedgerRow) -> Option<u64>| -> u64 {
        rows.iter().filter(|row| row.is("completed")).filter_map(of).sum()
    };
    assert_eq!(tokens("input"), told(|row| row.prompt_tokens));
    assert_eq!(tokens("output"), told(|row| row.completion_tokens));
}

/// Each call is a child of its request, and lies within it.
#[track_caller]
fn assert_families(spans: &[Span]) {
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    for call in spans.iter().filter(|span| span.attributes.contains_key("gen_ai.operation.name")) {
        let request = by_id.get(call.parent_span_id.as_str()).unwrap_or_else(|| panic!("an orphan: {call:?}"));
        assert_eq!((&request.kind, &request.trace_id), (&SpanKind::Server, &call.trace_id));
        assert!(
            request.start_nanos <= call.start_nanos && call.end_nanos <= request.end_nanos,
            "{call:?} in {request:?}"
        );
    }
}
