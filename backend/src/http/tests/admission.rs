//! Who is let in, and what is believed of them.

use goblin_shared::request_id::RequestId;
use http::Method;

use super::{Backend, NOW, ROUTE, Signed, demo_request, error, get, refused};

#[tokio::test]
async fn strangers_are_refused_but_for_probes() {
    let backend = Backend::new(true);
    for request in [demo_request(), get("/v1/models"), get("/nowhere")] {
        assert_eq!(error(backend.send(request).await).await, refused());
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(backend.send(get(probe)).await.status(), 200, "{probe}");
    }
}

#[tokio::test]
async fn what_the_edge_signs_is_believed_once() {
    let backend = Backend::new(true);
    let signed = Signed::default();
    let response = backend.send(signed.sign(demo_request())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], signed.request_id.as_str());
    assert_eq!(response.headers()["x-goblin-model"], "demo/goblin-demo");
    let timing = response.headers()["server-timing"].to_str().unwrap();
    assert!(timing.starts_with("backend;dur=") && timing.contains("provider;dur="), "{timing}");

    let replayed = backend.send(signed.sign(demo_request())).await;
    assert_ne!(replayed.headers()["x-request-id"], signed.request_id.as_str());
    assert_eq!(error(replayed).await, refused());
    let again = Signed { attempt: "2", ..Signed::default() };
    assert_eq!(backend.send(again.sign(demo_request())).await.status(), 200);
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_refused() {
    let backend = Backend::new(true);
    let changes: [(&str, &str); 6] = [
        ("x-goblin-route", ROUTE),
        ("x-goblin-client", "country=\"XX\""),
        ("x-goblin-attempt", "2"),
        ("traceparent", "00-12345678901234567890123456789012-1234567890123456-00"),
        ("x-goblin-edge-signature", "v1;k=k;t=1;h=00"),
        ("x-goblin-request-id", "01a20a3d-19bd-784b-9325-5330e1fa5260"),
    ];
    for (name, value) in changes {
        let mut request = Signed::default().sign(demo_request());
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(error(backend.send(request).await).await, refused(), "{name}");
        // The same field twice, the second time as it was.
        let mut request = Signed::default().sign(demo_request());
        let own = request.headers().get(name).cloned().unwrap_or_else(|| value.parse().unwrap());
        request.headers_mut().append(name, own);
        assert_eq!(error(backend.send(request).await).await, refused(), "{name} twice");
    }
    for time in [NOW - 61, NOW + 61] {
        let old = Signed { time, ..Signed::default() };
        assert_eq!(error(backend.send(old.sign(demo_request())).await).await, refused());
    }
    let mut moved = Signed::default().sign(demo_request());
    *moved.uri_mut() = "/v1/chat/completions?x=1".parse().unwrap();
    assert_eq!(error(backend.send(moved).await).await, refused());
    let mut other = Signed { route: "", ..Signed::default() }.sign(get("/v1/models"));
    *other.method_mut() = Method::POST;
    assert_eq!(error(backend.send(other).await).await, refused());
    // None of these was remembered: the true one is still new.
    assert_eq!(backend.send(Signed::default().sign(demo_request())).await.status(), 200);
}

#[tokio::test]
async fn a_full_replay_store_refuses_for_a_while() {
    let backend = Backend::with_replay_capacity(true, 1);
    assert_eq!(backend.send(Signed::default().sign(demo_request())).await.status(), 200);
    let other = Signed { attempt: "2", ..Signed::default() };
    let response = backend.send(other.sign(demo_request())).await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(error(response).await, (503, "overloaded".to_owned()));
}

#[tokio::test]
async fn entries_that_are_unknown_here_are_dropped() {
    let backend = Backend::new(true);
    let route = r#""other/x";v="1", "openai/gpt-4.1-mini";v="1", "demo/goblin-demo";v="1""#;
    let response = backend.send(Signed { route, ..Signed::default() }.sign(demo_request())).await;
    assert_eq!(response.headers()["x-goblin-model"], "demo/goblin-demo");
    let none = Signed { route: r#""other/x";v="1""#, attempt: "2", ..Signed::default() };
    let response = backend.send(none.sign(demo_request())).await;
    assert_eq!(response.headers()["x-should-retry"], "false");
    assert_eq!(error(response).await, (503, "no_provider".to_owned()));
    let nonsense = Signed { route: "nonsense", attempt: "3", ..Signed::default() };
    assert_eq!(error(backend.send(nonsense.sign(demo_request())).await).await, refused());
}

#[tokio::test]
async fn where_everybody_is_served_claims_count_for_nothing() {
    let backend = Backend::new(false);
    let mut request = demo_request();
    let claimed = Signed::default().request_id;
    request.headers_mut().insert("x-goblin-request-id", claimed.parse().unwrap());
    request.headers_mut().insert("x-goblin-route", ROUTE.parse().unwrap());
    request.headers_mut().insert("x-request-id", "mine".parse().unwrap());
    let response = backend.send(request).await;
    assert_eq!(response.headers()["x-goblin-model"], "demo/goblin-demo");
    let id = response.headers()["x-request-id"].to_str().unwrap();
    assert!(id != claimed && id.parse::<RequestId>().is_ok(), "{id}");
}
