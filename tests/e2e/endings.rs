//! How streams end when something goes wrong, or somebody leaves.

use std::time::{Duration, Instant};

use goblin_tests::{
    backend::BackendOptions,
    otlp_sink::SpanStatus,
    signing_key,
    stack::{Stack, StackOptions, start_backend},
    upstream::{Scenario, Script, Steps, Upstream},
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    client::{self, Events},
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
        an_unfinished_upload_is_not_forwarded,
    );
}

/// A stream that is open, its first content sent and read, and another round behind it.
async fn open(edge: std::net::SocketAddr, upstream: &Upstream) -> (Scenario, Steps, Events) {
    let (script, steps) = Script::lock_step();
    let scenario = upstream.script(script);
    steps.text("one");
    let answer = client::chat(edge, &scenario.chat("gpt-4o-mini", json!({"stream": true}))).await;
    let mut events = Events::new(answer);
    events.next_json().await;
    steps.text("two");
    events.next_json().await;
    (scenario, steps, events)
}

/// Neither `[DONE]` nor a finish reason: nothing that a client could take for a complete answer.
fn assert_not_complete(events: &[String]) {
    assert!(events.iter().all(|event| event != "data: [DONE]"), "{events:?}");
    assert!(events.iter().all(|event| !event.contains("\"finish_reason\":\"")), "{events:?}");
}

async fn a_killed_backend_never_looks_like_a_clean_end(_: &SharedStack) {
    let upstream = Upstream::start().await.unwrap();
    let options = StackOptions { upstream: Some(upstream.base_url()), ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();
    let (_scenario, _steps, events) = open(stack.edge.address(), &upstream).await;
    stack.backend.kill().await;
    let (rest, end) = events.rest().await;
    assert_not_complete(&rest);
    let told = rest.last().is_some_and(|event| event.contains("\"error\""));
    assert!(told || end.is_err(), "the client took it for a clean end: {rest:?}");
    stack.kill().await;
}

async fn a_stream_cut_upstream_is_an_error_event(shared: &SharedStack) {
    let (scenario, steps, events) = open(shared.edge(), &shared.upstream).await;
    steps.cut();
    let (rest, end) = events.rest().await;
    end.unwrap();
    assert_not_complete(&rest);
    let last: Value = serde_json::from_str(rest.last().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "provider_failed");
    assert!(last["error"]["request_id"].is_string());
    assert!(scenario.closed().await.played_to_its_end);
}

async fn a_stream_that_ends_without_saying_so_is_an_error_event(shared: &SharedStack) {
    let (_scenario, steps, events) = open(shared.edge(), &shared.upstream).await;
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
    let (script, steps) = Script::lock_step();
    let scenario = shared.upstream.script(script);
    steps.text("one");
    let answer = client::chat(shared.edge(), &scenario.chat("gpt-4o-mini", json!({"stream": true}))).await;
    let trace = client::trace_id(&answer);
    let mut events = Events::new(answer);
    events.next_json().await;
    let left = Instant::now();
    drop(events);
    // The stream flows on, as they do: workerd on its own notices a client's end only when it writes to it.
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

    let spans = shared.sink.wait_for_spans(&trace, |spans| spans.len() == 4).await;
    let server = spans.iter().find(|span| span.service == "goblin-backend" && span.name.starts_with("POST")).unwrap();
    assert_eq!(server.attributes["goblin.outcome"], "cancelled");
    assert_eq!(server.status, SpanStatus::Unset, "leaving is no fault of ours");
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
    let (scenario, _steps, events) = open(backend.service(), &upstream).await;
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
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let (_scenario, steps, mut events) = open(stack.edge.address(), &upstream).await;
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
    stack.kill().await;
}

async fn a_stream_that_outlasts_the_grace_ends_with_an_error_event(_: &SharedStack) {
    let upstream = Upstream::start().await.unwrap();
    let mut options = StackOptions { upstream: Some(upstream.base_url()), ..StackOptions::default() };
    options.backend.env = vec![("GOBLIN_SERVICE__SHUTDOWN_GRACE".into(), "100ms".into())];
    let stack = Stack::start(options).await.unwrap();
    let (_scenario, _steps, events) = open(stack.edge.address(), &upstream).await;
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

async fn an_unfinished_upload_is_not_forwarded(shared: &SharedStack) {
    // The client announces more than it sends and leaves.
    let mut stream = tokio::net::TcpStream::connect(shared.edge()).await.unwrap();
    let scenario = shared.upstream.script(Script::Friendly);
    let body = scenario.chat("gpt-4o-mini", json!({})).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len() + 10
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}{body}").as_bytes()).await.unwrap();
    drop(stream);
    // Whatever the edge made of it, a complete request after it is served and the broken one never came.
    let answer: Response = client::chat(shared.edge(), &client::demo_chat("Still there?")).await;
    assert_eq!(answer.status(), 200);
    assert!(scenario.requests().is_empty());
}
