//! A `retry-after` that is short enough is waited for.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use goblin_tests::{fault_server::Fault, otlp_sink::OtlpSink, patience::patiently};

use super::{
    asking::{End, Form, ask},
    bench::{Bench, Left, Peer},
    calls::calls,
    speech::Speech,
};

/// What the provider says.
const ASKED_FOR: Duration = Duration::from_secs(1);

pub(super) async fn a_short_retry_after_is_waited_for() {
    let sink = OtlpSink::start().await.unwrap();
    let settings = [("GOBLIN_RETRIES__RETRY_AFTER_LIMIT", "5s"), ("GOBLIN_TIMEOUTS__FIRST_CONTENT", "30s")];
    let speeches = [Speech::OPENAI].into_iter().chain(Speech::OTHERS);
    let cells: Vec<_> =
        speeches.flat_map(|speech| Form::ALL.map(|form| (Fault::RateLimitedBriefly, form, speech))).collect();
    let (bench, peers) = Bench::start(&sink, Left::Nobody, &cells, &settings).await.unwrap();
    join_all(peers.iter().map(|peer| wait(&bench, peer))).await;
    bench.end().await;
}

/// Asks, heals the provider as soon as it has been called, and sees it called again when it said, with success.
async fn wait(bench: &Bench<'_>, peer: &Peer) {
    let started = Instant::now();
    let refused = async {
        while peer.server.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let healing = async {
        patiently(refused, || format!("{} is never called", peer.key)).await;
        peer.server.heal();
    };
    let model = peer.model(Left::Nobody);
    let (asked, ()) = tokio::join!(ask(&bench.backend, peer, &model), healing);
    assert_eq!(asked.end, End::Answered, "{}", peer.key);
    let waited = started.elapsed();
    assert!(waited >= ASKED_FOR, "{} was called again after {waited:?}", peer.key);
    let told: Vec<_> = calls(bench, &asked).await.into_iter().map(|call| call.error_type).collect();
    assert_eq!(told, [Some("429".to_owned()), None], "{}", peer.key);
    assert_eq!(peer.server.requests(), 2, "{}", peer.key);
    // Whom it told to wait, and who did, may come back at once.
    let next = ask(&bench.backend, peer, &model).await;
    assert_eq!(next.end, End::Answered, "{}", peer.key);
}
