//! The edge's telemetry, whatever becomes of the collector.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use goblin_tests::{
    origin::{Origin, OriginAnswer},
    otlp_sink::{Mood, OtlpSink, PointValue},
    patience::patiently,
};
use http::StatusCode;
use reqwest::{Client, Method};
use serde_json::Value;

use crate::{
    answered::{Answered, send},
    client::{self, Door, own_path},
    decisions::decisions,
    heads::GPTBOT,
    heads::Head as _,
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_thousand_requests_are_answered_while_the_collector_hangs,
        what_a_collector_refuses_or_misses_is_counted,
        a_collector_that_is_absent_is_told_of_in_the_log_only,
        denials_and_failures_are_log_records_of_their_request,
        without_an_endpoint_refusals_are_lines_of_the_console,
        telemetry_in_json_says_the_same,
        requests_and_their_durations_are_counted_as_metrics,
    );
}

const QUICK: [(&str, &str); 3] =
    [("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_BLRP_SCHEDULE_DELAY", "100"), ("OTEL_METRIC_EXPORT_INTERVAL", "100")];

async fn start(sink: &OtlpSink, more: &[(&str, &str)]) -> WatchedEdge {
    let vars: Vec<_> = QUICK.iter().chain(more).copied().collect();
    WatchedEdge::start(sink, &vars).await.unwrap()
}

/// So many requests, some at a time; the longest that one took.
async fn many(door: &Door, count: usize) -> (Vec<Answered>, Duration) {
    let connection = Client::new();
    let timed = |_| async {
        let begun = Instant::now();
        let answer = send(client::request_by(&connection, Method::GET, door, "/v1/models")).await;
        (answer, begun.elapsed())
    };
    let all: Vec<_> = stream::iter(0..count).map(timed).buffer_unordered(16).collect().await;
    let longest = all.iter().map(|(_, took)| *took).max().unwrap_or_default();
    (all.into_iter().map(|(answer, _)| answer).collect(), longest)
}

/// How many were reported as dropped, of a signal.
fn dropped(sink: &OtlpSink, edge: &WatchedEdge, signal: &str) -> u64 {
    let is_ours = |point: &&goblin_tests::otlp_sink::MetricPoint| {
        point.service == edge.service
            && point.name == "goblin.telemetry.dropped"
            && point.attributes["signal"].as_str() == Some(signal)
    };
    let points = sink.points();
    let values = points.iter().filter(is_ours).map(|point| match point.value {
        PointValue::Sum { value, is_delta: true, is_monotonic: true } => value,
        ref other => panic!("no increment of a counter: {other:?}"),
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole")]
    let sum = values.sum::<f64>() as u64;
    sum
}

fn spans(sink: &OtlpSink, edge: &WatchedEdge) -> u64 {
    // By their ids: one that was sent again is one.
    let spans = sink.spans();
    spans.iter().filter(|span| span.service == edge.service).map(|span| &span.span_id).collect::<HashSet<_>>().len()
        as u64
}

/// What the edge was made to count so far, by what it reported.
fn counted(sink: &OtlpSink, edge: &WatchedEdge) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole")]
    let sum = decisions(&sink.points(), &edge.service).values().sum::<f64>() as u64;
    sum
}

async fn a_thousand_requests_are_answered_while_the_collector_hangs(_: &SharedStack) {
    let sink = OtlpSink::start().await.unwrap();
    let more = [("OTEL_BSP_MAX_QUEUE_SIZE", "500"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "25000")];
    let edge = start(&sink, &more).await;
    sink.be(Mood::Hangs);
    let door = Door::from(&edge);
    let (answers, longest) = many(&door, 1_000).await;
    answers.iter().for_each(Answered::assert_served);
    // Whoever waits for the collector waits until it is given up.
    assert!(longest < Duration::from_secs(20), "a request waited for the collector: {longest:?}");

    // It comes back: what was kept arrives, and what was dropped is counted, so that nothing is missing unseen. More
    // requests let the edge try again.
    sink.be(Mood::Takes);
    let mut requests = 1_000;
    let complete = async {
        loop {
            requests += 1;
            send(client::request(Method::GET, &edge, "/v1/models")).await.assert_served();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let (sent, lost, counts) = (spans(&sink, &edge), dropped(&sink, &edge, "traces"), counted(&sink, &edge));
            // Each has a SERVER and a CLIENT span. The probes with which the harness waited for the edge count besides.
            if counts >= requests && sent + lost >= 2 * requests && lost > 0 && sent > 0 {
                return;
            }
        }
    };
    patiently(complete, || {
        let (sent, lost) = (spans(&sink, &edge), dropped(&sink, &edge, "traces"));
        format!("{} spans came, {lost} were counted as dropped, {} requests counted", sent, counted(&sink, &edge))
    })
    .await;
    edge.edge.terminate().await;
}

async fn what_a_collector_refuses_or_misses_is_counted(_: &SharedStack) {
    let sink = OtlpSink::start().await.unwrap();
    let edge = start(&sink, &[]).await;
    // It refuses the data itself: sending them again makes no sense.
    sink.be(Mood::Refuses(StatusCode::BAD_REQUEST));
    let (answers, _) = many(&Door::from(&edge), 50).await;
    answers.iter().for_each(Answered::assert_served);
    let refused = async {
        while !edge.edge.process().log().lines().iter().any(|line| line.contains("400") && line.contains("traces")) {
            send(client::request(Method::GET, &edge, "/v1/models")).await.assert_served();
        }
    };
    patiently(refused, || "nothing is said of the refusal".to_owned()).await;
    sink.be(Mood::Takes);
    let told = async {
        while dropped(&sink, &edge, "traces") == 0 {
            send(client::request(Method::GET, &edge, "/v1/models")).await.assert_served();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(told, || "what was refused is not counted".to_owned()).await;
    let reasons: Vec<Value> = sink
        .points()
        .iter()
        .filter(|point| point.service == edge.service && point.name == "goblin.telemetry.dropped")
        .map(|point| point.attributes["reason"].clone())
        .collect();
    assert!(reasons.iter().all(|reason| reason == "rejected"), "{reasons:?}");
    edge.edge.terminate().await;
}

async fn a_collector_that_is_absent_is_told_of_in_the_log_only(shared: &SharedStack) {
    let gone = Origin::start().await.unwrap();
    let nowhere = gone.url();
    drop(gone);
    let edge = start(&shared.sink, &[("OTEL_EXPORTER_OTLP_ENDPOINT", nowhere.as_str())]).await;
    let (answers, _) = many(&Door::from(&edge), 200).await;
    answers.iter().for_each(Answered::assert_served);
    let told = async {
        while !edge.edge.process().log().lines().iter().any(|line| line.contains("traces were not exported")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(told, || format!("nothing is said:\n{}", edge.edge.process().log().tail(20))).await;
    edge.edge.terminate().await;
}

async fn denials_and_failures_are_log_records_of_their_request(shared: &SharedStack) {
    let edge = start(&shared.sink, &[]).await;
    let denied = send(client::request(Method::GET, edge.without_key(), &own_path()).named(GPTBOT)).await;
    denied.assert_bot("ai_crawler");
    edge.origin.order("/readyz", OriginAnswer::HangUp);
    let failed = send(client::request(Method::GET, &edge, "/readyz")).await;
    failed.assert_error(503, "backend_unreachable");
    for (answer, severity, code) in [(&denied, "WARN", "bot_refused"), (&failed, "ERROR", "backend_unreachable")] {
        let record = shared.sink.wait_for_log(|record| record.trace_id == answer.trace).await;
        assert_eq!((record.service.as_str(), record.severity.as_str()), (edge.service.as_str(), severity));
        assert_eq!(record.attributes["goblin.refusal.code"], code, "{record:?}");
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(record.attributes["goblin.request.id"], id.as_str());
        assert_eq!(record.span_id, answer.span(&shared.sink).await.span_id);
        assert!(!format!("{record:?}").contains("GPTBot/1.2"), "nothing that a client sent: {record:?}");
    }
    edge.edge.terminate().await;
}

async fn without_an_endpoint_refusals_are_lines_of_the_console(shared: &SharedStack) {
    let edge = start(&shared.sink, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).await;
    let denied = send(client::request(Method::GET, edge.without_key(), &own_path()).named(GPTBOT)).await;
    denied.assert_bot("ai_crawler");
    let id = denied.header("x-request-id").unwrap();
    let line = edge
        .edge
        .process()
        .wait_for_line(Duration::from_secs(30), |line| {
            let line: Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
            (line["request_id"] == id.as_str()).then_some(line)
        })
        .await
        .unwrap();
    assert_eq!((&line["level"], &line["trace_id"]), (&"WARN".into(), &denied.trace.as_str().into()), "{line}");
    assert_eq!(line["code"], "bot_refused", "{line}");
    edge.edge.terminate().await;
}

async fn telemetry_in_json_says_the_same(shared: &SharedStack) {
    let vars = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "none")];
    let edge = start(&shared.sink, &vars).await;
    let answer = send(client::request(Method::GET, &edge, &own_path())).await;
    answer.assert_served();
    let span = answer.span(&shared.sink).await;
    assert_eq!((span.name.as_str(), span.service.as_str()), ("GET /v1/models", edge.service.as_str()));
    assert_eq!(span.attributes["http.response.status_code"], 200);
    crate::decisions::wait_for_decision(&shared.sink, &edge.service, "admitted", "api_key").await;
    let denied = send(client::request(Method::GET, edge.without_key(), &own_path()).named(GPTBOT)).await;
    shared.sink.wait_for_log(|record| record.trace_id == denied.trace).await;
    edge.edge.terminate().await;
}

async fn requests_and_their_durations_are_counted_as_metrics(_: &SharedStack) {
    let sink = OtlpSink::start().await.unwrap();
    let edge = start(&sink, &[]).await;
    let (answers, _) = many(&Door::from(&edge), 30).await;
    answers.iter().for_each(Answered::assert_served);
    send(client::request(Method::GET, &edge, "/nowhere")).await.assert_error(404, "not_found");
    let count = |name: &str, status: u16| {
        let of = |point: &&goblin_tests::otlp_sink::MetricPoint| {
            point.service == edge.service
                && point.name == name
                && point.unit == "s"
                && point.attributes["http.response.status_code"] == status
        };
        let points = sink.points();
        let values = points.iter().filter(of).map(|point| match &point.value {
            PointValue::Histogram { count, bounds, buckets, is_delta: true, .. } => {
                assert_eq!((bounds.len() + 1, buckets.iter().sum::<u64>()), (buckets.len(), *count));
                *count
            }
            other => panic!("no increment of a histogram: {other:?}"),
        });
        values.sum::<u64>()
    };
    let told = async {
        // `/readyz` was asked by the harness until the edge was ready.
        while count("http.server.request.duration", 200) < 30
            || count("http.client.request.duration", 200) < 30
            || count("http.server.request.duration", 404) != 1
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(told, || format!("{:#?}", sink.points())).await;
    let of_overhead = |point: &goblin_tests::otlp_sink::MetricPoint| point.name == "goblin.edge.overhead.duration";
    let overhead = sink.wait_for_point(of_overhead).await;
    assert!(overhead.attributes.contains_key("decision"), "{overhead:?}");
    edge.edge.terminate().await;
}
