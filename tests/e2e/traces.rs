//! One trace from the client to the provider, and the log lines that belong to it.

use std::collections::HashSet;

use goblin_tests::{
    otlp_sink::{Span, SpanKind, SpanStatus, dump},
    stack::{OtlpTarget, Stack, StackOptions},
    upstream::{Script, Upstream},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{self, Events},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_request_is_one_chain_from_client_to_provider,
        the_demo_provider_is_internal_and_has_no_network,
        spans_of_a_stream_end_with_its_body,
        a_refused_request_has_the_spans_of_the_hops_it_reached,
        a_failed_request_fails_in_the_spans_that_failed,
        every_log_line_of_a_request_names_its_trace,
        server_timing_names_every_hop,
        spans_leave_by_grpc_too_and_are_flushed_at_the_end,
        a_collector_that_is_not_there_hurts_nobody,
    );
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// The spans in the order of the chain, by which each is the child of the one before.
fn chain(spans: &[Span]) -> Vec<&Span> {
    let known = |id: &str| spans.iter().any(|span| span.span_id == id);
    let mut roots = spans.iter().filter(|span| !known(&span.parent_span_id));
    let mut chain = vec![roots.next().unwrap_or_else(|| panic!("no root:\n{}", dump(spans)))];
    assert!(roots.next().is_none(), "more than one root:\n{}", dump(spans));
    while let Some(child) = spans.iter().find(|span| span.parent_span_id == chain[chain.len() - 1].span_id) {
        chain.push(child);
    }
    assert_eq!(chain.len(), spans.len(), "not a chain:\n{}", dump(spans));
    chain
}

fn names(chain: &[&Span]) -> Vec<(String, String, SpanKind)> {
    chain.iter().map(|span| (span.service.clone(), span.name.clone(), span.kind)).collect()
}

fn hop(service: &str, name: &str, kind: SpanKind) -> (String, String, SpanKind) {
    (service.to_owned(), name.to_owned(), kind)
}

const EDGE: &str = "goblin-edge";
const BACKEND: &str = "goblin-backend";
const POST_CHAT: &str = "POST /v1/chat/completions";

async fn spans_of(shared: &SharedStack, trace: &str, count: usize) -> Vec<Span> {
    shared.sink.wait_for_spans(trace, |spans| spans.len() >= count).await
}

async fn a_request_is_one_chain_from_client_to_provider(shared: &SharedStack) {
    for stream in [false, true] {
        let scenario = shared.upstream.script(Script::Friendly);
        let body = scenario.chat("gpt-4o-mini", json!({"stream": stream}));
        let request = client::post(shared, "/v1/chat/completions", &body);
        // A trace of its own for each round, continued from a caller that says it is not sampled.
        let caller = CALLER.replace("80319c", if stream { "80319d" } else { "80319e" });
        let answer = request.header("traceparent", &caller).header("tracestate", "vendor=1").send().await.unwrap();
        let trace = client::trace_id(&answer);
        assert_eq!(trace, &caller[3..35], "the caller's trace is continued");
        answer.bytes().await.unwrap();

        let spans = spans_of(shared, &trace, 4).await;
        let chain = chain(&spans);
        assert_eq!(
            names(&chain),
            [
                hop(EDGE, POST_CHAT, SpanKind::Server),
                hop(EDGE, POST_CHAT, SpanKind::Client),
                hop(BACKEND, POST_CHAT, SpanKind::Server),
                hop(BACKEND, "chat gpt-4o-mini", SpanKind::Client),
            ]
        );
        assert_eq!(chain[0].parent_span_id, &caller[36..52]);
        assert!(chain.iter().all(|span| span.status == SpanStatus::Unset), "{}", dump(&spans));
        assert!(chain.iter().all(|span| span.trace_state == "vendor=1"), "{}", dump(&spans));
        let provider = scenario.request().await.header("traceparent").unwrap().to_owned();
        assert_eq!(provider[3..52], format!("{trace}-{}", chain[3].span_id), "the provider continues its own span");
        assert_eq!(&provider[53..], "01", "an untrusted caller does not switch recording off");
        for (name, value) in [
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.provider.name", json!("openai")),
            ("gen_ai.request.model", json!("gpt-4o-mini")),
            ("gen_ai.usage.input_tokens", json!(3)),
            ("gen_ai.usage.output_tokens", json!(4)),
        ] {
            assert_eq!(chain[3].attributes.get(name), Some(&value), "{name}, stream: {stream}");
        }
        assert_eq!(chain[2].attributes["http.route"], "/v1/chat/completions");
        assert_eq!(chain[2].attributes["http.response.status_code"], 200);
    }
}

async fn the_demo_provider_is_internal_and_has_no_network(shared: &SharedStack) {
    let answer = client::chat(shared, &client::demo_chat("Hello")).await;
    let trace = client::trace_id(&answer);
    answer.bytes().await.unwrap();
    let spans = spans_of(shared, &trace, 4).await;
    assert_eq!(names(&chain(&spans))[3], hop(BACKEND, "chat goblin-demo", SpanKind::Internal));
}

async fn spans_of_a_stream_end_with_its_body(shared: &SharedStack) {
    let (script, steps) = Script::lock_step();
    let scenario = shared.upstream.script(script);
    steps.text("first");
    let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({"stream": true}))).await;
    let trace = client::trace_id(&answer);
    let mut events = Events::new(answer);
    events.next_json().await;
    let held_until = u64::try_from(client::now().as_nanos()).unwrap();
    assert_eq!(shared.sink.trace(&trace), [], "nothing is told before the end");
    steps.text("second");
    steps.chunk(&json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    steps.done();
    events.rest().await.1.unwrap();
    for span in spans_of(shared, &trace, 4).await {
        // The edge's clock has whole milliseconds.
        assert!(span.end_nanos + 1_000_000 >= held_until, "{} ended with its head", span.name);
    }
}

async fn a_refused_request_has_the_spans_of_the_hops_it_reached(shared: &SharedStack) {
    let answer = client::request(Method::GET, shared, "/secret-path?token=canary").send().await.unwrap();
    let trace = client::trace_id(&answer);
    let (_, _, request_id) = client::error(answer).await;
    let spans = spans_of(shared, &trace, 1).await;
    assert_eq!(names(&chain(&spans)), [hop(EDGE, "GET", SpanKind::Server)]);
    assert_eq!(spans[0].attributes["goblin.request.id"], request_id.as_str());
    assert_eq!(spans[0].attributes["goblin.refusal.code"], "not_found");
    assert_eq!(spans[0].status, SpanStatus::Unset, "a client's mistake is no failure of the server");
    assert!(!format!("{spans:?}").contains("canary") && !format!("{spans:?}").contains("secret-path"));

    // Refused by the backend: a request that skipped the edge.
    let request = client::post(shared.backend(), "/v1/chat/completions", &client::demo_chat("Hello"));
    let caller = CALLER.replace("80319c", "80319f");
    let answer = request.header("traceparent", &caller).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let spans = spans_of(shared, &caller[3..35], 1).await;
    assert_eq!(names(&chain(&spans)), [hop(BACKEND, POST_CHAT, SpanKind::Server)]);
}

async fn a_failed_request_fails_in_the_spans_that_failed(shared: &SharedStack) {
    for stream in [false, true] {
        // Not one of the statuses after which the same provider is asked again.
        let scenario = shared.upstream.script(Script::error(501, "boom", &[]));
        let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({"stream": stream}))).await;
        assert_eq!(answer.status(), 502);
        let trace = client::trace_id(&answer);
        let spans = spans_of(shared, &trace, 4).await;
        let chain = chain(&spans);
        assert!(chain.iter().all(|span| matches!(span.status, SpanStatus::Error(_))), "{}", dump(&spans));
        assert_eq!(chain[3].attributes["error.type"], "501");
        assert_eq!(chain[2].attributes["http.response.status_code"], 502);
    }
    // What the client did wrong fails where the provider says so, and nowhere else.
    let scenario = shared.upstream.script(Script::error(400, "no such voice", &[]));
    let answer = client::chat(shared, &scenario.chat("gpt-4o-mini", json!({}))).await;
    assert_eq!(answer.status(), 400);
    let trace = client::trace_id(&answer);
    let spans = spans_of(shared, &trace, 4).await;
    let failed: Vec<bool> = chain(&spans).iter().map(|span| span.status != SpanStatus::Unset).collect();
    assert_eq!(failed, [false, true, false, true], "the CLIENT spans, as OpenTelemetry wants: {}", dump(&spans));
}

async fn every_log_line_of_a_request_names_its_trace(_: &SharedStack) {
    // A backend of its own, so that every line after its start belongs to a request of this test.
    let upstream = Upstream::start().await.unwrap();
    let options = StackOptions { upstream: Some(upstream.base_url()), ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();
    let before = stack.backend.logs().len();

    let scenario = upstream.script(Script::error(500, "boom of a secret provider", &[]));
    let failed = client::chat(&stack, &scenario.chat("gpt-4o-mini", json!({}))).await;
    let mut streamed = client::demo_chat("A canary in a prompt");
    streamed["stream"] = true.into();
    let streamed = client::post(&stack, "/v1/chat/completions", &streamed);
    let streamed = streamed.header("x-request-id", "of-a-client").send().await.unwrap();
    let mut expected = HashSet::new();
    for answer in [failed, streamed] {
        expected.insert((client::header(&answer, "x-request-id").unwrap(), client::trace_id(&answer)));
        answer.bytes().await.unwrap();
    }
    for (request_id, _) in &expected {
        // The line at the end of a request comes last.
        let is_last = |line: &Value| line["request_id"] == request_id.as_str() && line["outcome"].is_string();
        stack.backend.wait_for_log(is_last).await.unwrap();
    }
    let lines = stack.backend.logs().split_off(before);
    assert!(lines.len() >= 3, "a failure and two ends: {lines:#?}");
    for line in &lines {
        let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}")).to_owned();
        assert!(expected.contains(&(text("request_id"), text("trace_id"))), "{line}");
        assert_eq!(text("span_id").len(), 16, "{line}");
        assert!(!line.to_string().contains("canary"), "{line}");
    }
    let noted = |line: &&Value| line["client_request_id"] == "of-a-client";
    assert_eq!(lines.iter().filter(noted).count(), 1, "a client's own id is logged, and not adopted");
    stack.kill().await;
}

async fn server_timing_names_every_hop(shared: &SharedStack) {
    let answer = client::chat(shared, &client::demo_chat("Hello")).await;
    let timing = client::header(&answer, "server-timing").unwrap();
    let names: Vec<&str> = timing.split(", ").map(|entry| entry.split(';').next().unwrap()).collect();
    assert_eq!(names, ["trace", "edge", "backend", "provider"], "{timing}");
}

async fn spans_leave_by_grpc_too_and_are_flushed_at_the_end(shared: &SharedStack) {
    let otlp = OtlpTarget { endpoint: shared.sink.grpc_endpoint(), protocol: "grpc" };
    let mut options = StackOptions { backend_otlp: Some(otlp), ..StackOptions::default() };
    // So long that only the flush at the end can have sent them.
    options.backend.env = vec![("OTEL_BSP_SCHEDULE_DELAY".into(), "600000".into())];
    let stack = Stack::start(options).await.unwrap();
    let answer = client::chat(&stack, &client::demo_chat("Hello")).await;
    let trace = client::trace_id(&answer);
    answer.bytes().await.unwrap();
    assert_eq!(shared.sink.trace(&trace), []);
    stack.terminate().await;
    let spans = spans_of(shared, &trace, 2).await;
    assert_eq!(spans.iter().filter(|span| span.service == BACKEND).count(), 2, "{}", dump(&spans));
}

async fn a_collector_that_is_not_there_hurts_nobody(_: &SharedStack) {
    let gone = goblin_tests::origin::Origin::start().await.unwrap();
    let nowhere = gone.url();
    drop(gone);
    let otlp = OtlpTarget { endpoint: nowhere.clone(), protocol: "http/protobuf" };
    let options = StackOptions { backend_otlp: Some(otlp), edge_otlp: Some(nowhere), ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();
    for _ in 0..5 {
        let answer = client::chat(&stack, &client::demo_chat("Hello")).await;
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    }
    stack.terminate().await;
}
