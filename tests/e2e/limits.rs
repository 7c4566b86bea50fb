//! How much each may ask, and what is told of those who are refused.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, future::join_all, stream};
use goblin_tests::{
    origin::OriginAnswer,
    otlp_sink::{MetricPoint, SpanKind, dump},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Method};

use crate::{
    answered::{Answered, send},
    client::{self, Door, own_path},
    decisions::{self, decisions},
    heads::{Browser, CURL, GPTBOT, HEADLESS_CHROME, Head as _, own_address},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_key_gets_exactly_what_it_may_whoever_asks_at_once_and_whatever_restarts,
        what_is_left_counts_down_in_the_answers,
        what_the_backend_says_of_its_own_limits_is_kept,
        an_address_that_asks_too_much_waits_while_others_are_served,
        addresses_of_one_network_of_a_customer_share,
        refusals_at_the_edge_have_a_span_though_the_backend_never_hears_of_them,
        every_request_is_counted_once,
    );
}

const BURST: usize = 100;

/// A burst and hardly anything after it, so that no test gets more by being slow. Nobody is admitted because the limit
/// did not answer in time: a busy machine would make the count wrong.
const HARD: [(&str, &str); 3] =
    [("KEY_LIMIT_BURST", "100"), ("KEY_LIMIT_SUSTAINED", "1/3600"), ("KEY_LIMIT_FAILURE", "closed")];

/// An edge with hard limits on keys, and the usual one on addresses.
async fn limited(shared: &SharedStack) -> &'static WatchedEdge {
    static LIMITED: StartedOnce<WatchedEdge> = StartedOnce::new();
    let mut vars = HARD.to_vec();
    vars.push(("ADMIT_RULES", ""));
    LIMITED.get(|| WatchedEdge::start(&shared.sink, &vars)).await
}

/// How often each status came, for the holder of a key.
type Statuses = BTreeMap<u16, usize>;

/// `callers` ask `each` times at once, each over a connection of its own.
async fn ask(door: &Door, callers: usize, each: usize) -> Statuses {
    let call = || async {
        let connection = Client::new();
        let mut answers = Vec::new();
        for _ in 0..each {
            let request = client::request_by(&connection, Method::GET, door, "/v1/models").named(CURL);
            answers.push(send(request).await);
        }
        answers
    };
    let answers: Vec<Answered> = join_all((0..callers).map(|_| call())).await.into_iter().flatten().collect();
    let mut statuses = Statuses::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
        if answer.status != 200 {
            assert_key_limited(answer);
        }
    }
    statuses
}

fn assert_key_limited(answer: &Answered) {
    let error = answer.assert_error(429, "rate_limit_exceeded");
    assert_eq!(error["type"], "rate_limit_error");
    let retry_after = answer.header("retry-after").expect("retry-after");
    assert!((1..=3600).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
    let limit = answer.header("ratelimit").expect("ratelimit");
    let wait = limit.strip_prefix("\"burst\";r=0;t=").unwrap_or_else(|| panic!("{limit}"));
    assert!(wait.parse::<u32>().unwrap() >= 1, "{limit}");
    // The whole burst comes back in a hundred hours.
    assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"burst\";q=100;w=360000"));
}

async fn a_key_gets_exactly_what_it_may_whoever_asks_at_once_and_whatever_restarts(shared: &SharedStack) {
    let edge = WatchedEdge::start(&shared.sink, &HARD).await.unwrap();
    let (first_key, second_key) = (edge.api_key.clone(), edge.door_of_another().await);
    let first = Door::from(&edge);
    let (first, second) = tokio::join!(ask(&first, 50, 4), ask(&second_key, 10, 15));
    assert_eq!(first, Statuses::from([(200, BURST), (429, 100)]));
    assert_eq!(second, Statuses::from([(200, BURST), (429, 50)]), "each key has its own");

    let edge = edge.restarted().await.unwrap();
    let first = Door::with_key(&edge.edge, &first_key);
    assert_eq!(ask(&first, 5, 2).await, Statuses::from([(429, 10)]), "the limit forgot");
    let third = edge.door_of_another().await;
    assert_eq!(ask(&third, 1, 1).await, Statuses::from([(200, 1)]));
    edge.edge.terminate().await;
}

async fn what_is_left_counts_down_in_the_answers(shared: &SharedStack) {
    let edge = limited(shared).await;
    let (door, address) = (edge.door_of_another().await, own_address());
    let mut left = Vec::new();
    for _ in 0..5 {
        let answer = send(client::request(Method::GET, &door, &own_path()).coming_from(&address)).await;
        answer.assert_admitted(&shared.sink, "api_key").await;
        assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"burst\";q=100;w=360000"));
        assert_eq!(answer.header("retry-after"), None);
        let limit = answer.header("ratelimit").expect("ratelimit");
        let rest = limit.strip_prefix("\"burst\";r=").unwrap_or_else(|| panic!("{limit}"));
        let (rest, time) = rest.split_once(";t=").unwrap_or_else(|| panic!("{limit}"));
        left.push(rest.parse::<usize>().unwrap());
        time.parse::<u32>().unwrap();
    }
    assert_eq!(left, [99, 98, 97, 96, 95]);
    // Who has no key has no such limit to hear of.
    let anonymous = client::request(Method::GET, edge.without_key(), &own_path());
    let answer = send(anonymous.dressed_as(Browser::Chrome).coming_from(&address)).await;
    answer.assert_served();
    assert_eq!(answer.header("ratelimit"), None);
}

async fn what_the_backend_says_of_its_own_limits_is_kept(shared: &SharedStack) {
    let edge = limited(shared).await;
    let own = [("ratelimit", "\"tokens\";r=7;t=60"), ("ratelimit-policy", "\"tokens\";q=9;w=60")];
    let headers = own.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let headers = HeaderMap::from_iter(headers);
    // A path that no other test asks this edge for.
    let answer = OriginAnswer::Whole { status: StatusCode::OK, headers, body: "{}".into() };
    edge.origin.order("/readyz", answer.clone());
    edge.origin.order("/v1/chat/completions", answer);
    let door = edge.door_of_another().await;
    let request = client::post(&door, "/v1/chat/completions", &client::demo_chat("Hello"));
    let answer = send(request.coming_from(&own_address())).await;
    answer.assert_served();
    let (limit, policy) = (answer.header("ratelimit").unwrap(), answer.header("ratelimit-policy").unwrap());
    assert!(limit.starts_with("\"tokens\";r=7;t=60, \"burst\";r=99;t="), "{limit}");
    assert_eq!(policy, "\"tokens\";q=9;w=60, \"burst\";q=100;w=360000");
    // Where there is no limit of the edge's, the backend's stand alone.
    let answer = send(client::request(Method::GET, edge.without_key(), "/readyz").coming_from(&own_address())).await;
    assert_eq!(answer.header("ratelimit").as_deref(), Some("\"tokens\";r=7;t=60"));
}

/// More than two windows of the binding's limit, of which the first may have been near its end.
const MORE_THAN_TWO_WINDOWS: usize = 1_300;

/// Asks without a key until somebody is told to wait, from the addresses that `address` gives to each request.
async fn until_limited(edge: &WatchedEdge, address: impl Fn(usize) -> String) -> Answered {
    let connections = Client::new();
    let requests = (0..MORE_THAN_TWO_WINDOWS).map(|number| {
        let request = client::request_by(&connections, Method::GET, edge.without_key(), "/v1/models");
        send(request.dressed_as(Browser::Chrome).coming_from(&address(number)))
    });
    let mut answers = stream::iter(requests).buffer_unordered(16);
    while let Some(answer) = answers.next().await {
        if answer.status != 200 {
            return answer;
        }
    }
    panic!("{MORE_THAN_TWO_WINDOWS} requests were served one after the other")
}

fn assert_address_limited(answer: &Answered) {
    let error = answer.assert_error(429, "rate_limit_exceeded");
    assert_eq!(error["type"], "rate_limit_error");
    let retry_after = answer.header("retry-after").expect("retry-after");
    assert!((1..=60).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
    let limit = answer.header("ratelimit").expect("ratelimit");
    assert!(limit.starts_with("\"address\";r=0;t="), "{limit}");
    assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"address\";q=600;w=60"));
}

async fn an_address_that_asks_too_much_waits_while_others_are_served(shared: &SharedStack) {
    let edge = limited(shared).await;
    let (loud, quiet) = (own_address(), own_address());
    let answer = until_limited(edge, |_| loud.clone()).await;
    assert_address_limited(&answer);
    assert_eq!(answer.decision(&shared.sink).await, ("refused".to_owned(), "address_limit".to_owned()));
    let request = client::request(Method::GET, edge.without_key(), &own_path()).dressed_as(Browser::Chrome);
    send(request.coming_from(&quiet)).await.assert_served();
}

async fn addresses_of_one_network_of_a_customer_share(shared: &SharedStack) {
    let edge = limited(shared).await;
    // A customer of a provider gets a /64 at least, and is free to change addresses within it.
    let answer = until_limited(edge, |number| format!("2001:db8:5a:1::{number:x}")).await;
    assert_address_limited(&answer);
    let request = client::request(Method::GET, edge.without_key(), &own_path()).dressed_as(Browser::Chrome);
    send(request.coming_from("2001:db8:5a:2::1")).await.assert_served();
}

/// An edge that nobody else asks, whose keys have three requests each.
async fn counting(shared: &SharedStack) -> WatchedEdge {
    let vars = [
        ("ADMIT_RULES", "address_limit=off,headless_browser=observe"),
        ("KEY_LIMIT_BURST", "3"),
        ("KEY_LIMIT_SUSTAINED", "1/3600"),
        ("KEY_LIMIT_FAILURE", "closed"),
    ];
    WatchedEdge::start(&shared.sink, &vars).await.unwrap()
}

async fn refusals_at_the_edge_have_a_span_though_the_backend_never_hears_of_them(shared: &SharedStack) {
    let edge = limited(shared).await;
    let door = edge.door_of_another().await;
    assert_eq!(ask(&door, 4, BURST / 4).await, Statuses::from([(200, BURST)]));
    let path = own_path();
    let get = |door: Door| client::request(Method::GET, door, &path).coming_from(&own_address());
    for (request, status, reason) in [
        (get(edge.without_key()).bearer_auth("gob_x"), 401, "invalid_api_key"),
        (get(edge.without_key()).named(GPTBOT), 403, "ai_crawler"),
        (get(door), 429, "key_limit"),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.decision(&shared.sink).await, ("refused".to_owned(), reason.to_owned()));
        let spans = shared.sink.trace(&answer.trace);
        let kinds: Vec<SpanKind> = spans.iter().map(|span| span.kind).collect();
        assert_eq!(kinds, [SpanKind::Server], "{}", dump(&spans));
        assert!(!edge.let_through(&path));
    }
}

async fn every_request_is_counted_once(shared: &SharedStack) {
    let edge = counting(shared).await;
    let get = |door: Door, path: &str| client::request(Method::GET, door, path);
    let anonymous = || get(edge.without_key(), "/v1/models").dressed_as(Browser::Chrome);
    let mut requests = Vec::new();
    for _ in 0..7 {
        requests.push(get((&edge).into(), "/v1/models"));
    }
    for _ in 0..5 {
        requests.push(anonymous());
    }
    for _ in 0..4 {
        requests.push(get(edge.without_key(), "/v1/models").named(GPTBOT));
        requests.push(anonymous().bearer_auth("eyJ"));
    }
    for _ in 0..3 {
        requests.push(get(edge.without_key(), "/v1/models").bearer_auth("gob_x"));
        requests.push(get(edge.without_key(), "/readyz"));
    }
    for _ in 0..2 {
        requests.push(anonymous().named(HEADLESS_CHROME));
        requests.push(get((&edge).into(), "/no/such/path"));
        requests.push(client::request(Method::DELETE, &edge, "/v1/models"));
    }
    // At once, so that several fall into one window.
    join_all(requests.into_iter().map(send)).await;
    let mut expected = vec![
        ("admitted", "api_key", 3),
        ("refused", "key_limit", 4),
        ("admitted", "anonymous", 7),
        ("refused", "ai_crawler", 4),
        ("admitted", "foreign_credential", 4),
        ("refused", "invalid_api_key", 3),
        ("admitted", "health", 3),
        ("observed", "headless_browser", 2),
        ("refused", "not_found", 2),
        ("refused", "method_not_allowed", 2),
    ];
    let has_come = |points: &[MetricPoint]| {
        let counted = decisions(points, &edge.service);
        decisions::of(&expected).iter().all(|(pair, count)| counted.get(pair) >= Some(count))
    };
    shared.sink.wait_for_points(has_come).await;
    // What follows comes in a later report, so that whatever was counted twice has come by then.
    send(get(edge.without_key(), "/xmlrpc.php")).await.assert_bot("honeypot");
    expected.push(("refused", "honeypot", 1));
    decisions::wait_for_decision(&shared.sink, &edge.service, "refused", "honeypot").await;
    assert_eq!(decisions(&shared.sink.points(), &edge.service), decisions::of(&expected));
    edge.edge.terminate().await;
}
