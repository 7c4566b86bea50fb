//! Pages of other origins use the service from a browser: CORS, as the Fetch standard has it.

use goblin_tests::origin::OriginAnswer;
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Method, RequestBuilder};

use crate::{
    answered::{Answered, send},
    client::{self, own_path},
    heads::{Browser, GPTBOT, Head as _},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_page_is_told_before_it_asks_what_it_may_send,
        a_page_may_read_answers_and_refusals_alike,
        a_page_of_another_origin_may_not,
        without_configuration_no_page_may,
    );
}

const PAGE: &str = "https://app.example";
const STRANGER: &str = "https://app.example.stranger.example";

async fn open(shared: &SharedStack) -> &'static WatchedEdge {
    static OPEN: StartedOnce<WatchedEdge> = StartedOnce::new();
    OPEN.get(|| WatchedEdge::start(&shared.sink, &[("CORS_ORIGINS", "https://App.example/")])).await
}

fn preflight(edge: &WatchedEdge, origin: &'static str, path: &str) -> RequestBuilder {
    client::request(Method::OPTIONS, edge.without_key(), path)
        .dressed_as(Browser::Chrome)
        .headers(of(origin))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-lang")
}

fn ask(edge: &WatchedEdge, origin: &'static str, path: &str) -> RequestBuilder {
    client::request(Method::GET, edge.without_key(), path).dressed_as(Browser::Chrome).headers(of(origin))
}

/// `headers` of the client replaces what stood there, as `header` does not.
fn of(origin: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::ORIGIN, HeaderValue::from_static(origin))])
}

fn assert_readable(answer: &Answered) {
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(PAGE), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"));
    assert!(answer.header("access-control-expose-headers").is_some_and(|names| names.contains("x-request-id")));
    assert!(answer.header("vary").is_some_and(|names| names.to_ascii_lowercase().contains("origin")), "{answer:?}");
}

async fn a_page_is_told_before_it_asks_what_it_may_send(shared: &SharedStack) {
    let edge = open(shared).await;
    let answer = send(preflight(edge, PAGE, "/v1/chat/completions")).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_readable(&answer);
    assert_eq!(answer.header("access-control-allow-methods").as_deref(), Some("POST"));
    let fields = answer.header("access-control-allow-headers");
    assert_eq!(fields.as_deref(), Some("authorization,content-type,x-stainless-lang"));
    assert_eq!(answer.header("access-control-max-age").as_deref(), Some("7200"));
    let decision = answer.decision(&shared.sink).await;
    assert_eq!(decision, ("admitted".to_owned(), "cors_preflight".to_owned()));
    assert!(!edge.let_through("/v1/chat/completions"), "the edge answers it itself");
}

async fn a_page_may_read_answers_and_refusals_alike(shared: &SharedStack) {
    let edge = open(shared).await;
    let answer = send(ask(edge, PAGE, &own_path())).await;
    answer.assert_served();
    assert_readable(&answer);
    // The backend's own words on caching stay.
    let headers = HeaderMap::from_iter([(http::header::VARY, HeaderValue::from_static("accept"))]);
    let order = OriginAnswer::Whole { status: StatusCode::OK, headers, body: "{}".into() };
    edge.origin.order("/readyz", order);
    let answer = send(ask(edge, PAGE, "/readyz")).await;
    assert_readable(&answer);
    assert!(answer.header("vary").is_some_and(|names| names.contains("accept")), "{answer:?}");

    let bot = send(client::request(Method::GET, edge.without_key(), &own_path()).named(GPTBOT).header("origin", PAGE));
    let forged = send(ask(edge, PAGE, &own_path()).bearer_auth("gob_x"));
    let nowhere = send(ask(edge, PAGE, "/nowhere"));
    for (refused, status) in [(bot.await, 403), (forged.await, 401), (nowhere.await, 404)] {
        assert_eq!(refused.status, status, "{}", refused.body);
        assert_readable(&refused);
    }
}

async fn a_page_of_another_origin_may_not(shared: &SharedStack) {
    let edge = open(shared).await;
    let answer = send(preflight(edge, STRANGER, "/v1/chat/completions")).await;
    answer.assert_error(403, "origin_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    // It is the browser that keeps the answer from the page; programs have no pages.
    let answer = send(ask(edge, STRANGER, &own_path())).await;
    answer.assert_served();
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

async fn without_configuration_no_page_may(shared: &SharedStack) {
    let door = client::request(Method::OPTIONS, shared, "/v1/chat/completions").header("origin", PAGE);
    let answer = send(door.header("access-control-request-method", "POST")).await;
    answer.assert_error(403, "origin_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
