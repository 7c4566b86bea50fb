//! Somebody else keeps the database locked.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use goblin_tests::patience::patiently;
use serde_json::json;

use super::{
    bench::{Bench, chat},
    invariants::Books,
    load::Kind,
    provider::HOLD,
    seen::{End, Seen, id_of, refusal},
};
use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_locked_database_refuses_in_time_and_loses_nothing", a_locked_database_refuses_in_time);
}

/// `store.timeout`, and what the quickest of several refusals may take on a busy machine: less than the default's.
const TIMEOUT: &str = "300ms";
const BOUND: Duration = Duration::from_millis(1_800);
const AT_ONCE: usize = 6;

async fn a_locked_database_refuses_in_time() {
    let bench = Bench::over_sqlite().await.with("GOBLIN_STORE__TIMEOUT", TIMEOUT);
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    let ask = async |text: &str| {
        let started = Instant::now();
        let answer = chat(&client, &backend, &key, &bench.provider.ask(text, json!({}))).send().await.unwrap();
        let (accepted, is_served) = (id_of(&answer), answer.status() == 200);
        let end = if is_served {
            answer.text().await.unwrap();
            End::Whole
        } else {
            refusal(answer).await
        };
        let accepted = is_served.then_some(accepted);
        (Seen { kind: Kind::Unary, accepted, conversation: None, end, time: (0, 0) }, started.elapsed())
    };
    let mut seen = vec![ask("Hello").await.0];
    assert_eq!(seen[0].end, End::Whole);

    let mut other = bench.reader().await;
    let locking = async {
        bench.provider.counted(2).await;
        other.lock().await.unwrap();
        let refused = join_all((0..AT_ONCE).map(|_| ask("Hello"))).await;
        assert_eq!(bench.provider.count(), 2, "the provider was called without a row");
        // What ends now cannot be settled yet.
        bench.provider.release();
        refused
    };
    let (in_flight, refused) = tokio::join!(ask(HOLD), locking);
    assert_eq!(in_flight.0.end, End::Whole, "it was accepted before");
    seen.push(in_flight.0);
    // While these wait for what they do not get, what ended is tried to be settled, in vain.
    let mut refused = refused;
    for _ in 0..2 {
        refused.push(ask("Hello").await);
    }
    for (one, _) in &refused {
        let End::Refused(refusal) = &one.end else { panic!("{one:?}") };
        assert_eq!((refusal.status, refusal.code.as_str()), (503, "store_unavailable"), "{one:?}");
        assert!(refusal.retry_after.is_some_and(|seconds| seconds > 0), "{one:?}");
    }
    let quickest = refused.iter().map(|(_, took)| *took).min().unwrap();
    assert!(quickest < BOUND, "the quickest refusal took {quickest:?}");

    other.unlock().await.unwrap();
    other.close().await.unwrap();
    let served = async {
        loop {
            let (one, _) = ask("Hello").await;
            seen.push(one.clone());
            if one.end == End::Whole {
                break;
            }
        }
    };
    patiently(served, || "the lock is gone and nobody is served".to_owned()).await;
    Books::settled(&bench).await.assert_account_for(&seen, &bench.provider.traces(), false);
    backend.kill().await;
}
