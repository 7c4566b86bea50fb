//! Which traces are recorded, and who may say so.

use goblin_shared::trace_grant;
use goblin_tests::backend;
use reqwest::Method;
use serde_json::json;

use crate::{
    answered::{Answered, send},
    client::{self, own_path},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        where_nothing_is_recorded_callers_do_not_change_that,
        where_nothing_is_recorded_failures_still_are,
        a_grant_forces_recording_and_shows_the_routes_reason,
        a_grant_that_is_forged_or_old_changes_nothing,
        baggage_goes_on_as_far_as_it_is_valid,
        a_faulty_configuration_is_told_whole_to_the_operator_only,
    );
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// An edge that records nothing of itself.
async fn silent(shared: &SharedStack) -> &'static WatchedEdge {
    static SILENT: StartedOnce<WatchedEdge> = StartedOnce::new();
    SILENT.get(|| WatchedEdge::start(&shared.sink, &[("OTEL_TRACES_SAMPLER", "always_off")])).await
}

/// The `traceparent` with which a request arrived at the origin.
async fn forwarded(edge: &WatchedEdge, path: &str) -> String {
    let received = edge.origin.wait_for_request(|request| request.uri == path).await;
    received.header("traceparent").unwrap().to_owned()
}

/// The trace of an answer was not told, as others that came later were.
async fn assert_not_recorded(shared: &SharedStack, edge: &WatchedEdge, answer: &Answered) {
    let grant = trace_grant::mint(&edge.signing_key.parse().unwrap(), client::now().as_secs() + 60);
    let later = send(client::request(Method::GET, edge, &own_path()).header("trace-grant", grant)).await;
    later.span(&shared.sink).await;
    assert_eq!(shared.sink.trace(&answer.trace), []);
}

async fn where_nothing_is_recorded_callers_do_not_change_that(shared: &SharedStack) {
    let edge = silent(shared).await;
    let path = own_path();
    let caller = PARENT.replace("80319c", "803200");
    let answer = send(client::request(Method::GET, edge, &path).header("traceparent", &caller)).await;
    answer.assert_served();
    let forwarded = forwarded(edge, &path).await;
    assert!(forwarded.starts_with(&caller[..36]) && forwarded.ends_with("-00"), "{forwarded}");
    assert_not_recorded(shared, edge, &answer).await;
}

async fn where_nothing_is_recorded_failures_still_are(shared: &SharedStack) {
    let edge = silent(shared).await;
    edge.origin.order("/readyz", goblin_tests::origin::OriginAnswer::HangUp);
    let answer = send(client::request(Method::GET, edge, "/readyz")).await;
    answer.assert_error(503, "backend_unreachable");
    assert_eq!(answer.span(&shared.sink).await.attributes["error.type"], "backend_unreachable");
}

async fn a_grant_forces_recording_and_shows_the_routes_reason(shared: &SharedStack) {
    let edge = silent(shared).await;
    let key = ("GOBLIN_EDGE__SIGNING_KEYS", edge.signing_key.as_str());
    let grant = backend::output(&["trace-grant", "--for", "10m"], &[key]).await.unwrap();
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "Hello"}]});
    let request = client::post(edge, "/v1/chat/completions", &body).header("trace-grant", grant);
    let answer = send(request.header("traceparent", PARENT.replace("80319c", "803201"))).await;
    answer.assert_served();
    let reason = answer.header("x-goblin-route-reason").expect("the reason");
    assert!(reason.contains("auto"), "{reason}");
    let span = answer.span(&shared.sink).await;
    assert_eq!(span.attributes["goblin.route.reason"], reason.as_str());
    assert_eq!(span.attributes["goblin.trace.grant"], "valid");
    let id = answer.header("x-request-id").unwrap();
    let received =
        edge.origin.wait_for_request(|request| request.header("x-goblin-request-id") == Some(id.as_str())).await;
    assert_eq!(received.header("trace-grant"), None, "it is a secret of its holder");
    assert!(received.header("traceparent").unwrap().ends_with("-01"));
    // Without one, the reason is the operator's alone.
    let without = send(client::post(shared, "/v1/chat/completions", &client::demo_chat("Hello"))).await;
    assert_eq!(without.header("x-goblin-route-reason"), None);
    assert!(without.span(&shared.sink).await.attributes.contains_key("goblin.route.reason"));
}

async fn a_grant_that_is_forged_or_old_changes_nothing(shared: &SharedStack) {
    let edge = silent(shared).await;
    let now = client::now().as_secs();
    let strangers = goblin_tests::signing_key::fresh("watched").unwrap();
    let forged = trace_grant::mint(&strangers.parse().unwrap(), now + 60);
    let old = trace_grant::mint(&edge.signing_key.parse().unwrap(), now - 1);
    for grant in [forged.as_str(), &old, "v1", "yes"] {
        let answer = send(client::request(Method::GET, edge, &own_path()).header("trace-grant", grant)).await;
        answer.assert_served();
        assert_not_recorded(shared, edge, &answer).await;
    }
}

async fn baggage_goes_on_as_far_as_it_is_valid(shared: &SharedStack) {
    let edge = silent(shared).await;
    for (given, handed_on) in [
        (vec!["user=alice;p=1, region=eu"], Some("user=alice;p=1,region=eu")),
        (vec!["user=alice", "nonsense, region = eu"], Some("user=alice,region=eu")),
        (vec!["a b=1"], None),
    ] {
        let path = own_path();
        let mut request = client::request(Method::GET, edge, &path);
        for field in given {
            request = request.header("baggage", field);
        }
        send(request).await.assert_served();
        let received = edge.origin.wait_for_request(|request| request.uri == path.as_str()).await;
        assert_eq!(received.header("baggage"), handed_on);
    }
}

async fn a_faulty_configuration_is_told_whole_to_the_operator_only(shared: &SharedStack) {
    let vars = [("BODY_LIMIT_BYTES", "many"), ("HEALTH_FRESH_MS", "soon"), ("CORS_ORIGINS", "a,b")];
    let edge = WatchedEdge::start(&shared.sink, &vars).await.unwrap();
    let answer = send(client::request(Method::GET, &edge, "/healthz")).await;
    let error = answer.assert_error(500, "misconfigured");
    for (name, _) in vars {
        assert!(!error.to_string().contains(name), "{error}");
    }
    let id = answer.header("x-request-id").unwrap();
    let line = edge
        .edge
        .process()
        .wait_for_line(std::time::Duration::from_secs(30), |line| (line.contains(&id)).then(|| line.to_owned()));
    let line = line.await.unwrap();
    for (name, _) in vars {
        assert!(line.contains(name), "{line}");
    }
    edge.edge.terminate().await;
}
