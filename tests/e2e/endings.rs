//! How streams end when something goes wrong, or somebody leaves.

use std::time::{Duration, Instant};

use goblin_tests::{
    backend::BackendOptions,
    otlp_sink::{SpanKind, SpanStatus, dump},
    signing_key,
    stack::{Stack, StackOptions, start_backend},
    upstream::{Scenario, Script, Steps, Upstream},
};
use serde_json::{Value, json};

use crate::{
    client::{self, Door, Events},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_killed_backend_never_looks_like_a_clean_end,
        a_stream_cut_upstream_is_an_error_event,
        a_stream_that_ends_without_saying_so_is_an_error_event,
        a_client_that_leaves_in_mid_stream_closes_the_upstream_within_a_second,
        the_backend_notices_a_leaver_in_silence_too,
        a_backend_that_is_told_to_end_lets_open_streams_end,
        a_stream_that_outlasts_the_grace_ends_with_an_error_event,
    );
}

/// A stream that is open, its first content sent and read, and another round behind it.
async fn open(door: impl Into<Door>, upstream: &Upstream) -> Open {
    let (script, steps) = Script::lock_step();
    let scenario = upstream.script(script);
    steps.text("one");
    let answer = client::chat(door, &scenario.chat("gpt-4o-mini", json!({"stream": true}))).await;
    let trace = client::trace_id(&answer);
    let mut events = Events::new(answer);
    events.next_json().await;
    steps.text("two");
    events.next_json().await;
    Open { scenario, steps, events, trace }
}

/// An open stream.
struct Open {
    scenario: Scenario,
    steps: Steps,
    events: Events,
    trace: String,
}

/// Neither `[DONE]` nor a finish reason: nothing that a client could take for a complete answer.
fn assert_not_complete(events: &[String]) {
    assert!(events.iter().all(|event| event != "data: [DONE]"), "{events:?}");
    assert!(events.iter().all(|event| !event.contains("\"finish_reason\":\"")), "{events:?}");
}

async fn a_killed_backend_never_looks_like_a_clean_end(shared: &SharedStack) {
    // With telemetry the edge pipes the body, so that it hears of its end; without, it hands the stream over.
    for edge_otlp in [None, Some(shared.sink.http_endpoint())] {
        let upstream = Upstream::start().await.unwrap();
        let watched = edge_otlp.is_some();
        let options = StackOptions { upstream: Some(upstream.base_url()), edge_otlp, ..StackOptions::default() };
        let stack = Stack::start(options).await.unwrap();
        let Open { events, trace, scenario: _scenario, steps: _steps } = open(&stack, &upstream).await;
        stack.backend.kill().await;
        let (rest, end) = events.rest().await;
        assert_not_complete(&rest);
        let told = rest.last().is_some_and(|event| event.contains("\"error\""));
        assert!(told || end.is_err(), "the client took it for a clean end: {rest:?}");
        if watched {
            let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 2).await;
            assert!(spans.iter().all(|span| span.attributes["error.type"] == "backend_broke_off"), "{}", dump(&spans));
        }
        stack.kill().await;
    }
}

async fn a_stream_cut_upstream_is_an_error_event(shared: &SharedStack) {
    let Open { scenario, steps, events, trace } = open(shared, &shared.upstream).await;
    steps.cut();
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_not_complete(&rest);
    let last: Value = serde_json::from_str(rest.last().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "provider_failed");
    assert!(last["error"]["request_id"].is_string());
    assert!(scenario.closed().await.played_to_its_end);

    let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 4).await;
    let backend: Vec<_> = spans.iter().filter(|span| span.service == "goblin-backend").collect();
    assert!(backend.iter().all(|span| matches!(span.status, SpanStatus::Error(_))), "{}", dump(&spans));
    let server = backend.iter().find(|span| span.name.starts_with("POST")).unwrap();
    assert_eq!(
        (&server.attributes["goblin.outcome"], &server.attributes["error.type"]),
        (&"failed".into(), &"provider_failed".into())
    );
}

async fn a_stream_that_ends_without_saying_so_is_an_error_event(shared: &SharedStack) {
    let Open { steps, events, scenario: _scenario, .. } = open(shared, &shared.upstream).await;
    // The body ends in good order, but neither `[DONE]` nor a finish reason came.
    drop(steps);
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_not_complete(&rest);
    assert!(rest.last().unwrap().contains("\"code\":\"provider_failed\""), "{rest:?}");
}

/// The longest that an upstream may be held for nobody.
const LEAVING_BOUND: Duration = Duration::from_secs(1);

async fn a_client_that_leaves_in_mid_stream_closes_the_upstream_within_a_second(shared: &SharedStack) {
    let trace = leave_in_mid_stream(shared, &shared.upstream).await;
    let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 4).await;
    let server = |service: &str| spans.iter().find(|span| span.service == service && span.kind == SpanKind::Server);
    let (edge, backend) = (server("goblin-edge").unwrap(), server("goblin-backend").unwrap());
    assert_eq!(backend.attributes["goblin.outcome"], "cancelled");
    for span in [edge, backend] {
        assert_eq!(span.status, SpanStatus::Unset, "leaving is no fault of ours: {}", dump(&spans));
    }
    let forward = spans.iter().find(|span| span.service == "goblin-edge" && span.kind == SpanKind::Client).unwrap();
    assert_eq!(forward.attributes["error.type"], "client_left");

    // Without telemetry the edge hands the stream over as it is: another way, the same end.
    let upstream = Upstream::start().await.unwrap();
    let options = StackOptions { upstream: Some(upstream.base_url()), ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();
    leave_in_mid_stream(&stack, &upstream).await;
    stack.kill().await;
}

/// Leaves a stream that flows on, checks how soon the upstream is let go, and gives the trace's id.
async fn leave_in_mid_stream(door: impl Into<Door>, upstream: &Upstream) -> String {
    let Open { scenario, steps, events, trace } = open(door, upstream).await;
    let left = Instant::now();
    drop(events);
    // workerd on its own notices a client's end only when it writes to it.
    let mut flow = tokio::time::interval(Duration::from_millis(20));
    let flowing = async {
        loop {
            flow.tick().await;
            steps.text("more");
        }
    };
    let closed = tokio::select! {
        closed = scenario.closed() => closed,
        () = flowing => unreachable!("it flows for ever"),
    };
    assert!(!closed.played_to_its_end);
    let held = closed.at.saturating_duration_since(left);
    assert!(held <= LEAVING_BOUND, "the upstream was held for {held:?} after the client left");
    trace
}

async fn the_backend_notices_a_leaver_in_silence_too(_: &SharedStack) {
    let upstream = Upstream::start().await.unwrap();
    let options = BackendOptions {
        env: vec![("GOBLIN_EDGE__SIGNATURE".to_owned(), "off".to_owned())],
        ..BackendOptions::default()
    };
    let key = signing_key::fresh("test").unwrap();
    let backend = start_backend(&key, Some(&upstream.base_url()), None, options).await.unwrap();
    let assert_let_go = async |scenario: &Scenario, left: Instant| {
        let closed = scenario.closed().await;
        assert!(!closed.played_to_its_end);
        let held = closed.at.saturating_duration_since(left);
        assert!(held <= LEAVING_BOUND, "the upstream was held for {held:?} after the client left");
    };
    // Before the head, in one piece or streamed.
    for stream in [false, true] {
        let (script, _release) = Script::held(Script::Friendly);
        let scenario = upstream.script(script);
        let body = scenario.chat("gpt-4o-mini", json!({"stream": stream}));
        let waiting = tokio::spawn(client::post(backend.service(), "/v1/chat/completions", &body).send());
        scenario.request().await;
        let left = Instant::now();
        waiting.abort();
        assert_let_go(&scenario, left).await;
    }
    // Between two chunks.
    let Open { scenario, events, steps: _steps, .. } = open(backend.service(), &upstream).await;
    let left = Instant::now();
    drop(events);
    assert_let_go(&scenario, left).await;
    backend.kill().await;
}

async fn a_backend_that_is_told_to_end_lets_open_streams_end(shared: &SharedStack) {
    let upstream = Upstream::start().await.unwrap();
    let options = StackOptions {
        upstream: Some(upstream.base_url()),
        backend_otlp: Some(goblin_tests::stack::OtlpTarget {
            endpoint: shared.sink.http_endpoint(),
            protocol: "http/protobuf",
        }),
        // So long that only the flush at the end can have sent them.
        backend: BackendOptions {
            env: vec![("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "600000".to_owned())],
            ..BackendOptions::default()
        },
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let Open { steps, mut events, trace, scenario: _scenario } = open(&stack, &upstream).await;
    let backend = stack.backend.clone();
    let ending = tokio::spawn(async move { backend.terminate(Duration::from_secs(40)).await });
    // It listens no more, but the stream goes on.
    stack
        .backend
        .wait_for_log(|line| line["message"].as_str().is_some_and(|text| text.contains("shutting down")))
        .await
        .unwrap();
    steps.text("three");
    assert_eq!(events.next_json().await["choices"][0]["delta"]["content"], "three");
    steps.chunk(&json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    steps.done();
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_eq!(rest.last().unwrap(), "data: [DONE]");
    ending.await.unwrap();
    assert!(stack.backend.process().exited().await.success());
    let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 2).await;
    assert!(spans.iter().all(|span| span.service == "goblin-backend" && span.status == SpanStatus::Unset));
    stack.kill().await;
}

async fn a_stream_that_outlasts_the_grace_ends_with_an_error_event(_: &SharedStack) {
    let upstream = Upstream::start().await.unwrap();
    let mut options = StackOptions { upstream: Some(upstream.base_url()), ..StackOptions::default() };
    options.backend.env = vec![("GOBLIN_SERVICE__SHUTDOWN_GRACE".into(), "100ms".into())];
    let stack = Stack::start(options).await.unwrap();
    let Open { events, scenario: _scenario, steps: _steps, .. } = open(&stack, &upstream).await;
    let backend = stack.backend.clone();
    let ending = tokio::spawn(async move { backend.terminate(Duration::from_secs(40)).await });
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_not_complete(&rest);
    assert!(rest.last().unwrap().contains("\"code\":\"shutting_down\""), "{rest:?}");
    ending.await.unwrap();
    assert!(stack.backend.process().exited().await.success());
    stack.kill().await;
}
