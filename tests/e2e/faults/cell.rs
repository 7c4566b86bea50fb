//! One cell of the table: a provider with a fault, asked until it is known what becomes of it.

use futures_util::future::join_all;

use super::{
    asking::{Asked, End, ask},
    bench::{Bench, Left, Peer},
    calls::calls,
};

/// Failed calls at which breakers open that had no other: `breaker.min_calls`, as it is by default.
pub(super) const MIN_CALLS: usize = 5;

/// Longest time that a client is told to wait for a breaker, in seconds: longer than a busy machine takes for a cell.
const OPEN_FOR_S: u32 = 120;

/// The breaker's times, so that only what is asked decides, and not how soon.
pub(super) const BREAKER: [(&str, &str); 3] = [
    ("GOBLIN_BREAKER__WINDOW", "600s"),
    ("GOBLIN_BREAKER__OPEN_FOR", "120s"),
    ("GOBLIN_BREAKER__OPEN_FOR_LIMIT", "120s"),
];

/// What becomes of requests whose first provider has a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// For the client.
    pub(super) end: End,
    /// How often the provider is called for one request.
    pub(super) calls: usize,
    /// `error.type` of the spans of these calls.
    pub(super) error_type: Option<String>,
    pub(super) left_alone: LeftAlone,
}

/// Whether a provider is called by the next requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LeftAlone {
    /// It is.
    Never,
    /// Not before the time that it said itself.
    AsItSays,
    /// After so many failures the model is not called any more.
    Model,
    /// After so many failures no model of the provider is called any more.
    Provider,
}

/// Asks for answers of `peer`, and checks on the way that all that can be seen of a request fits together.
pub(super) async fn observe(bench: &Bench<'_>, peer: &Peer) -> Cell {
    let asking = || ask_first_model(bench, peer);
    let first = asking().await;
    // At once, while it may be left alone for no more than a second. Slow ones all together, as they all fail on their
    // first call.
    let more = if peer.fault.is_silence() { MIN_CALLS - 1 } else { 1 };
    let more = join_all((0..more).map(|_| asking())).await;

    let (of_first, error_type) = failures(bench, peer, &first).await;
    let mut called = vec![of_first];
    for asked in &more {
        called.push(failures(bench, peer, asked).await.0);
    }
    let left_alone = if called[1] == 0 {
        assert_left_alone(bench, &more[0].end, "provider_overloaded", 60);
        LeftAlone::AsItSays
    } else if error_type.is_none() {
        LeftAlone::Never
    } else {
        while called.iter().sum::<usize>() < MIN_CALLS {
            let asked = asking().await;
            called.push(failures(bench, peer, &asked).await.0);
            assert_ne!(called.last(), Some(&0), "{} is left alone too early, after {called:?}", peer.key);
        }
        let last = asking().await;
        called.push(failures(bench, peer, &last).await.0);
        if called.last() == Some(&0) {
            assert_left_alone(bench, &last.end, "no_provider", OPEN_FOR_S);
            let other = ask(&bench.backend, peer, &peer.other_model()).await;
            called.push(failures(bench, peer, &other).await.0);
            if called.last() == Some(&0) { LeftAlone::Provider } else { LeftAlone::Model }
        } else {
            LeftAlone::Never
        }
    };

    let arrived = if peer.fault.keeps_requests_out() { 0 } else { called.iter().sum() };
    assert_eq!(peer.server.requests(), arrived, "{}: the spans told of {called:?}", peer.key);
    assert_eq!(peer.server.followed(), 0, "{}: a redirection was followed", peer.key);
    Cell { end: first.end, calls: of_first, error_type, left_alone }
}

async fn ask_first_model(bench: &Bench<'_>, peer: &Peer) -> Asked {
    ask(&bench.backend, peer, &peer.model(bench.left)).await
}

/// How often a request called `peer`, and why these calls failed, for one and the same reason. Whether another provider
/// was called must be what the client saw.
async fn failures(bench: &Bench<'_>, peer: &Peer, asked: &Asked) -> (usize, Option<String>) {
    let mut calls = calls(bench, asked).await;
    if asked.end == End::BySpare {
        let spare = calls.pop().expect("a call of the spare");
        assert_eq!((spare.provider.as_str(), spare.error_type), ("spare", None), "after {calls:?}");
    }
    let error_type = calls.first().and_then(|call| call.error_type.clone());
    let is_alike = calls.iter().all(|call| call.provider == peer.key && call.error_type == error_type);
    assert!(is_alike, "{}: {calls:?}", peer.key);
    (calls.len(), error_type)
}

/// What clients see of a provider that is left alone: the code `expected`, and that it may be called `within` so many seconds.
fn assert_left_alone(bench: &Bench<'_>, end: &End, expected: &str, within: u32) {
    match (bench.left, end) {
        (Left::Spare, End::BySpare) => {}
        (Left::Nobody, End::Told { status: 503, code, retry_after: Some(seconds) })
            if code == expected && (1..=within).contains(seconds) => {}
        _ => panic!("no call, and then {end:?}"),
    }
}
