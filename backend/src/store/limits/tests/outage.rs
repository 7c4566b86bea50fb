//! Servers that go away under load.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::bench::{Bench, NOW, amounts, key, limit, reservation};
use crate::ports::{Amounts, NotReserved, Quota, StoreError};

const CALLERS: usize = 16;
const LIMIT: u64 = 100_000_000;

/// A release that overtook its reservation holds: nothing is reserved for a request that is over.
pub(super) async fn a_late_reservation_is_refused(bench: &Bench) {
    let claims = [(key("K"), limit(Quota::Tokens, 10))];
    let late = reservation(&claims, 6);
    bench.limits[0].settle(&late, Amounts::default());
    bench.settled().await;
    let outcome = bench.limits[1].reserve(&late).await;
    assert!(matches!(outcome, Err(NotReserved::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [0]);
}

/// Callers reserve and settle while `outage` happens. Whoever is not served is told in time; afterwards all are served
/// again, and counters hold what was used by those who were served, to the last token.
pub(super) async fn invariants_outlive(bench: &Bench, timeout: Duration, outage: impl Future<Output = ()>) {
    let claims = [(key("K"), limit(Quota::Tokens, LIMIT))];
    let (is_over, used, served, unserved) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let caller = async |number: usize| {
        let limits = &bench.limits[number % 2];
        while !is_over.load(Ordering::Acquire) {
            let reservation = reservation(&claims, 100);
            let began = Instant::now();
            match limits.reserve(&reservation).await {
                Ok(_) => {
                    used.fetch_add(7, Ordering::AcqRel);
                    served.fetch_add(1, Ordering::AcqRel);
                    limits.settle(&reservation, amounts(7));
                }
                Err(NotReserved::Store(StoreError::Unavailable(_))) => {
                    unserved.fetch_add(1, Ordering::AcqRel);
                    limits.settle(&reservation, Amounts::default());
                }
                Err(error) => panic!("{error:?}"),
            }
            // A busy machine may be late, but not by a multiple of this.
            assert!(began.elapsed() < timeout + Duration::from_secs(10), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let load = futures_util::future::join_all((0..CALLERS).map(caller));
    let story = async {
        reach(&served, 200).await;
        outage.await;
        let before = served.load(Ordering::Acquire);
        reach(&served, before + 200).await;
        is_over.store(true, Ordering::Release);
    };
    tokio::join!(load, story);
    assert!(unserved.into_inner() > 0, "nobody noticed the outage");
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [used.into_inner()]);
}

async fn reach(count: &AtomicU64, goal: u64) {
    let reaching = async {
        while count.load(Ordering::Acquire) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reaching).await.expect("nobody is served");
}
