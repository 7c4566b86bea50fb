//! Where the edge sends requests: by alias, size, capability, health and catalogue.

use std::time::Duration;

use goblin_shared::{
    catalogue::{BUILT_IN, Catalogue},
    headers::{GOBLIN_HEALTH, GOBLIN_HEALTH_SIGNATURE, GOBLIN_ROUTE},
    provider_health::sign_health,
    route::Plan,
};
use goblin_tests::{
    backend::{Backend, BackendOptions},
    edge::{EdgeOptions, put_catalogue},
    origin::OriginAnswer,
    patience::patiently,
    stack::{ANTHROPIC_KEY, GEMINI_KEY, provider, start_backend},
    upstream::{Family, Script},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::{
    answered::{Answered, send},
    client::{self, Door},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        an_alias_becomes_a_plan_that_the_backend_can_trust,
        what_a_request_needs_decides_who_can_answer_it,
        what_nobody_can_answer_is_refused_with_the_reason,
        an_unknown_model_is_told_near_names,
        a_provider_that_is_down_is_left_out_until_it_is_back,
        what_an_answer_says_of_providers_counts_for_the_next_plan,
        nobody_but_the_backend_says_who_is_down,
        a_catalogue_in_kv_counts_without_a_deployment,
        edge_and_backend_alone_make_plans_alike,
    );
}

const CHAT: &str = "/v1/chat/completions";

/// An edge that looks at its backend's health several times a second.
async fn quick(shared: &SharedStack) -> &'static WatchedEdge {
    static QUICK: StartedOnce<WatchedEdge> = StartedOnce::new();
    QUICK.get(|| WatchedEdge::start(&shared.sink, &[("HEALTH_FRESH_MS", "100"), ("HEALTH_STALE_MS", "30000")])).await
}

/// Sends a chat request with `more` members, and gives the plan that came to the origin with it.
async fn plan(edge: &WatchedEdge, more: Value) -> Plan {
    let answer = ask(edge, more).await;
    answer.assert_served();
    let id = answer.header("x-request-id").unwrap();
    let came = |request: &goblin_tests::http_peer::ReceivedRequest| request.header("x-goblin-request-id") == Some(&id);
    let received = edge.origin.wait_for_request(came).await;
    Plan::parse(received.header(GOBLIN_ROUTE).unwrap()).unwrap()
}

async fn ask(door: impl Into<Door>, more: Value) -> Answered {
    let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": "Hello"}]});
    let (Value::Object(body), Value::Object(more)) = (&mut body, more) else { panic!("objects are merged") };
    body.extend(more);
    send(client::post(door, CHAT, &Value::Object(body.clone()))).await
}

fn names(plan: &Plan) -> Vec<String> {
    plan.entries().iter().map(ToString::to_string).collect()
}

async fn an_alias_becomes_a_plan_that_the_backend_can_trust(shared: &SharedStack) {
    let edge = quick(shared).await;
    let catalogue = Catalogue::parse(BUILT_IN).unwrap();
    for alias in ["auto", "fast", "smart", "cheap"] {
        let plan = plan(edge, json!({"model": alias})).await;
        assert_eq!(plan.catalogue_version(), catalogue.version());
        assert!(plan.entries().len() > 2, "{alias}: {:?}", names(&plan));
        assert_eq!(names(&plan).last().map(String::as_str), Some("demo/goblin-demo"), "the fallback comes last");
    }
    let cheap = names(&plan(edge, json!({"model": "cheap"})).await);
    let smart = names(&plan(edge, json!({"model": "smart"})).await);
    assert_ne!(cheap[0], smart[0], "{cheap:?} {smart:?}");
    assert_eq!(names(&plan(edge, json!({"model": "openai/gpt-4.1"})).await), ["openai/gpt-4.1"]);
}

async fn what_a_request_needs_decides_who_can_answer_it(shared: &SharedStack) {
    let edge = quick(shared).await;
    let small = names(&plan(edge, json!({"model": "cheap"})).await);
    assert!(small.contains(&"openai/gpt-4o-mini".to_owned()), "{small:?}");
    // 200,000 tokens or so: more than the window of gpt-4o-mini, less than that of gpt-4.1.
    let prompt = "Once upon a time a goblin counted tokens. ".repeat(20_000);
    let large = json!({"model": "cheap", "messages": [{"role": "user", "content": prompt}]});
    let large = names(&plan(edge, large).await);
    assert!(large.contains(&"openai/gpt-4.1-mini".to_owned()), "{large:?}");
    let small_windows = ["openai/gpt-4o-mini", "demo/goblin-demo"];
    assert!(large.iter().all(|name| !small_windows.contains(&name.as_str())), "{large:?}");
    let image = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
    let picture = json!({"messages": [{"role": "user", "content": image}]});
    let picture = names(&plan(edge, picture).await);
    assert!(!picture.is_empty() && !picture.contains(&"demo/goblin-demo".to_owned()), "{picture:?}");
}

async fn what_nobody_can_answer_is_refused_with_the_reason(shared: &SharedStack) {
    let edge = quick(shared).await;
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    let answer = ask(edge, json!({"model": "goblin-demo", "tools": tool})).await;
    let error = answer.assert_error(400, "invalid_field");
    assert_eq!(error["param"], "tools");
    assert!(error["message"].as_str().unwrap().contains("openai/"), "it names who can: {error}");
    let prompt = "Once upon a time a goblin counted tokens. ".repeat(20_000);
    let long = json!({"model": "goblin-demo", "messages": [{"role": "user", "content": prompt}]});
    let error = ask(edge, long).await.assert_error(400, "context_length_exceeded");
    assert_eq!(error["param"], "messages");
}

async fn an_unknown_model_is_told_near_names(shared: &SharedStack) {
    let alone = alone(shared).await;
    // The same function answers at both hops.
    for door in [Door::from(shared), alone.service().into()] {
        let error = ask(door, json!({"model": "gpt-4.1-mni"})).await.assert_error(422, "model_not_found");
        assert!(error["message"].as_str().unwrap().contains("`gpt-4.1-mini`"), "{error}");
        assert_eq!(error["param"], "model");
    }
    alone.kill().await;
}

/// A backend that serves anybody, with the upstream of the shared one.
async fn alone(shared: &SharedStack) -> Backend {
    let mut env = vec![("GOBLIN_EDGE__SIGNATURE".to_owned(), "off".to_owned())];
    // The providers of the other one: plans are made of those that are configured.
    env.extend(provider("ANTHROPIC", &shared.upstream.base_url_of(Family::Anthropic), ANTHROPIC_KEY));
    env.extend(provider("GEMINI", &shared.upstream.base_url_of(Family::Gemini), GEMINI_KEY));
    let options = BackendOptions { env, ..BackendOptions::default() };
    start_backend(&shared.stack.signing_key, Some(&shared.upstream.base_url()), None, options).await.unwrap()
}

/// Has the origin tell of its providers to who asks.
fn tell(edge: &WatchedEdge, state: &str, signing_key: &str) {
    let headers = told(state, signing_key);
    let silent = OriginAnswer::Whole { status: StatusCode::NO_CONTENT, headers, body: "".into() };
    edge.origin.order("/internal/health", silent);
}

fn told(state: &str, signing_key: &str) -> HeaderMap {
    let signature = sign_health(state, &signing_key.parse().unwrap(), client::now().as_secs());
    HeaderMap::from_iter([
        (HeaderName::from_static(GOBLIN_HEALTH), HeaderValue::from_str(state).unwrap()),
        (HeaderName::from_static(GOBLIN_HEALTH_SIGNATURE), HeaderValue::from_str(&signature).unwrap()),
    ])
}

/// Asks until plans are as expected; nothing says when an edge has heard of its backend's state.
async fn until(edge: &WatchedEdge, what: &str, is_so: impl Fn(&[String]) -> bool) {
    let mut last = Vec::new();
    let asking = async {
        loop {
            last = names(&plan(edge, json!({"model": "smart"})).await);
            if is_so(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(asking, || what.to_owned()).await;
}

async fn a_provider_that_is_down_is_left_out_until_it_is_back(shared: &SharedStack) {
    let vars = [("HEALTH_FRESH_MS", "100"), ("HEALTH_STALE_MS", "30000")];
    let edge = WatchedEdge::start(&shared.sink, &vars).await.unwrap();
    let mut healthy = names(&plan(&edge, json!({"model": "smart"})).await);
    assert!(healthy[0].starts_with("openai/"), "what is not known to be down is not: {healthy:?}");
    // From here on, it is told of two providers; the others are not configured there.
    healthy.retain(|name| name.starts_with("openai/") || name.starts_with("demo/"));
    assert!(healthy.len() > 2, "{healthy:?}");
    tell(&edge, "openai=();down, demo=()", &edge.signing_key);
    until(&edge, "the provider stays in the plan", |plan| plan == ["demo/goblin-demo"]).await;
    let first = healthy[0].split_once('/').unwrap().1;
    tell(&edge, &format!("openai=(\"{first}\";down), demo=()"), &edge.signing_key);
    let without = |plan: &[String]| plan.len() == healthy.len() - 1 && !plan.contains(&healthy[0]);
    until(&edge, "the model stays in the plan", without).await;
    tell(&edge, "openai=(), demo=()", &edge.signing_key);
    until(&edge, "the provider does not come back", |plan| plan == healthy).await;
    // Not configured there at all.
    tell(&edge, "demo=()", &edge.signing_key);
    until(&edge, "the provider stays in the plan", |plan| plan == ["demo/goblin-demo"]).await;
    let asked = edge.origin.requests().into_iter().find(|request| request.uri == "/internal/health").unwrap();
    assert!(asked.header("x-goblin-edge-signature").is_some_and(|signature| signature.starts_with("v1;")));
    edge.edge.terminate().await;
}

async fn what_an_answer_says_of_providers_counts_for_the_next_plan(shared: &SharedStack) {
    let edge = WatchedEdge::start(&shared.sink, &[]).await.unwrap();
    // Who asks for the state alone learns nothing here.
    let headers = told("openai=();down, demo=()", &edge.signing_key);
    edge.origin.order(CHAT, OriginAnswer::Whole { status: StatusCode::OK, headers, body: "{}".into() });
    assert!(names(&plan(&edge, json!({"model": "smart"})).await)[0].starts_with("openai/"));
    until(&edge, "the answer was not heeded", |plan| plan == ["demo/goblin-demo"]).await;
    edge.edge.terminate().await;
}

async fn nobody_but_the_backend_says_who_is_down(shared: &SharedStack) {
    let vars = [("HEALTH_FRESH_MS", "100"), ("HEALTH_STALE_MS", "30000")];
    let edge = &WatchedEdge::start(&shared.sink, &vars).await.unwrap();
    let strangers = goblin_tests::signing_key::fresh("watched").unwrap();
    tell(edge, "openai=();down, demo=()", &strangers);
    let asked = |count: usize| {
        let asks = edge.origin.requests().into_iter().filter(|request| request.uri == "/internal/health").count();
        asks >= count
    };
    let before = edge.origin.requests().iter().filter(|request| request.uri == "/internal/health").count();
    until(edge, "it does not ask again", |_| asked(before + 3)).await;
    let plan = names(&plan(edge, json!({"model": "smart"})).await);
    assert!(plan[0].starts_with("openai/"), "{plan:?}");
    // What it says besides stays between the two: a client sees nothing of it, whoever signed it.
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static(GOBLIN_HEALTH), HeaderValue::from_static("openai=();down")),
        (HeaderName::from_static(GOBLIN_HEALTH_SIGNATURE), HeaderValue::from_static("v1;k=watched;t=1;h=00")),
    ]);
    edge.origin.order(CHAT, OriginAnswer::Whole { status: StatusCode::OK, headers, body: "{}".into() });
    let answer = ask(edge, json!({})).await;
    answer.assert_served();
    assert_eq!((answer.header(GOBLIN_HEALTH), answer.header(GOBLIN_HEALTH_SIGNATURE)), (None, None));
    edge.edge.terminate().await;
}

async fn a_catalogue_in_kv_counts_without_a_deployment(shared: &SharedStack) {
    let options = EdgeOptions { binds_catalogue: true, ..EdgeOptions::default() };
    let vars = [("CATALOGUE_MAX_AGE_S", "1")];
    let edge = WatchedEdge::start_with(&shared.sink, &vars, options).await.unwrap();
    let built_in = Catalogue::parse(BUILT_IN).unwrap();
    let version = plan(&edge, json!({"model": "goblin-demo"})).await.catalogue_version().to_owned();
    assert_eq!(version, built_in.version(), "an empty namespace changes nothing");

    let model = json!({"provider": "demo", "name": "goblin-next", "context_window": 1000, "max_output_tokens": 100});
    let next = json!({"version": "next", "providers": {"demo": {"title": "Demo"}}, "models": [model]});
    put_catalogue(edge.state.path(), &next.to_string()).await.unwrap();
    let taken = async {
        while ask(&edge, json!({"model": "goblin-next"})).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    patiently(taken, || "the catalogue in KV does not count".to_owned()).await;
    assert_eq!(plan(&edge, json!({"model": "goblin-next"})).await.catalogue_version(), "next");
    ask(&edge, json!({"model": "gpt-4.1"})).await.assert_error(422, "model_not_found");

    // One with faults changes nothing, and the log has them all.
    put_catalogue(edge.state.path(), r#"{"version":"","providers":{},"models":[]}"#).await.unwrap();
    let told = async {
        while !edge.edge.process().log().lines().iter().any(|line| line.contains("`models` is empty")) {
            ask(&edge, json!({"model": "goblin-next"})).await.assert_served();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    patiently(told, || "nothing is said of the faults".to_owned()).await;
    edge.edge.terminate().await;
}

async fn edge_and_backend_alone_make_plans_alike(shared: &SharedStack) {
    let alone = alone(shared).await;
    let scenario = shared.upstream.script(Script::Friendly);
    // Strategies without chance: what comes first depends on the request and the catalogue alone.
    let small = scenario.chat("smart", json!({}));
    let cheap = scenario.chat("cheap", json!({}));
    let prompt = "Once upon a time a goblin counted tokens. ".repeat(20_000);
    let large = scenario.chat("cheap", json!({"messages": [{"role": "user", "content": prompt}]}));
    let mut answered = Vec::new();
    for body in [small, cheap, large] {
        let mut models = Vec::new();
        for door in [Door::from(shared), alone.service().into()] {
            let answer = send(client::post(door, CHAT, &body)).await;
            answer.assert_served();
            models.push(answer.header("x-goblin-model").expect("who answered"));
        }
        assert_eq!(models[0], models[1]);
        answered.push(models.remove(0));
    }
    assert!(answered[0] != answered[1] && answered[1] != answered[2], "{answered:?}");
    alone.kill().await;
}
