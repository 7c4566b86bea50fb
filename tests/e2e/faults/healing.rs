//! Providers that work again.

use std::time::Duration;

use futures_util::future::join_all;
use goblin_tests::{fault_server::Fault, otlp_sink::OtlpSink, patience::patiently};

use super::{
    asking::{End, Form, ask},
    bench::{Bench, Left, Peer},
    cell::MIN_CALLS,
    speech::Speech,
};

/// One of each kind: no connection, an error, an answer that is none, a broken connection, silence, a cut stream, and the
/// provider's own word.
const HEALED: [(Fault, Form); 7] = [
    (Fault::RefusedConnection, Form::Streamed),
    (Fault::InternalError, Form::Whole),
    (Fault::Garbage, Form::Streamed),
    (Fault::Reset, Form::Whole),
    (Fault::SlowHead, Form::Streamed),
    (Fault::CutAfterContent, Form::Streamed),
    (Fault::RateLimitedBriefly, Form::Whole),
];

pub(super) async fn a_probe_closes_what_faults_opened() {
    let sink = OtlpSink::start().await.unwrap();
    let settings = [("GOBLIN_BREAKER__OPEN_FOR", "300ms"), ("GOBLIN_TIMEOUTS__FIRST_CONTENT", "1s")];
    let healed = HEALED.map(|(fault, form)| (fault, form, Speech::OPENAI));
    let (bench, peers) = Bench::start(&sink, Left::Nobody, &healed, &settings).await.unwrap();
    join_all(peers.iter().map(|peer| heal(&bench, peer))).await;
    bench.end().await;
}

/// Asks until the provider is left alone, heals it, and asks until it answers.
async fn heal(bench: &Bench<'_>, peer: &Peer) {
    let asking = async || ask(&bench.backend, peer, &peer.model(Left::Nobody)).await.end;
    // One that says when to come back is left alone from its first word on, and clients are told the same.
    let code = if peer.fault == Fault::RateLimitedBriefly { "provider_overloaded" } else { "no_provider" };
    let is_left_alone = |end: &End| matches!(end, End::Told { status: 503, code: told, .. } if told == code);
    if peer.fault.is_silence() {
        join_all((0..MIN_CALLS).map(|_| asking())).await;
    }
    let left_alone = async { while !is_left_alone(&asking().await) {} };
    patiently(left_alone, || format!("{} is never left alone", peer.key)).await;

    let before = peer.server.requests();
    peer.server.heal();
    let answered = async {
        loop {
            let end = asking().await;
            if end == End::Answered {
                return;
            }
            assert!(is_left_alone(&end), "{} works, and yet {end:?}", peer.key);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(answered, || format!("{} is never called again", peer.key)).await;
    assert_eq!(peer.server.requests(), before + 1, "{}: one probe, and no other call before it", peer.key);
    for _ in 0..3 {
        assert_eq!(asking().await, End::Answered, "{} is as good as new", peer.key);
    }
    assert_eq!(peer.server.requests(), before + 4);
}
