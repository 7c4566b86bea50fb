//! Limits that are counted in a real Redis.

use std::{sync::Arc, time::Duration};

use goblin_tests::{redis::Redis, server::or_skip};

use super::{
    Bench, KnownLedger,
    bench::{amounts, key, limit, refused, reservation},
    limits_contract, outage,
};
use crate::{
    ports::{Health as _, Ledger, Limits, NotReserved, Quota, StoreError},
    store::limits::RedisLimits,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// For tests that wait for it.
const SHORT: Duration = Duration::from_millis(300);

/// A Redis that has been there for longer than limits wait for what was reserved before.
async fn bench(test: &str, ledger: Arc<dyn Ledger>) -> Option<Bench> {
    let redis = or_skip(test, Redis::shared().await)?;
    let url = redis.database().unwrap();
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("goblin:limits:epoch").arg(1).exec_async(&mut connection).await.unwrap();
    Some(Bench { limits: [instance(&url, TIMEOUT, &ledger), instance(&url, TIMEOUT, &ledger)] })
}

fn instance(url: &str, timeout: Duration, ledger: &Arc<dyn Ledger>) -> Arc<dyn Limits> {
    Arc::new(RedisLimits::new(url, timeout, ledger.clone(), None).unwrap())
}

limits_contract!(bench);

#[tokio::test]
async fn a_reservation_that_comes_after_its_release_is_refused() {
    let test = "a_reservation_that_comes_after_its_release_is_refused";
    let Some(bench) = bench(test, Arc::new(KnownLedger::default())).await else { return };
    outage::a_late_reservation_is_refused(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_in_mid_load_loses_no_reservation() {
    let test = "a_server_that_stops_in_mid_load_loses_no_reservation";
    let Some(redis) = or_skip(test, Redis::start_durable().await) else { return };
    let url = redis.database().unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(KnownLedger::default());
    let bench = Bench { limits: [instance(&url, SHORT, &ledger), instance(&url, SHORT, &ledger)] };
    let stopping = async {
        redis.stop().await.unwrap();
        tokio::time::sleep(SHORT * 2).await;
        redis.start_again().await.unwrap();
    };
    outage::invariants_outlive(&bench, SHORT, stopping).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_in_mid_load_loses_no_reservation() {
    let test = "a_server_that_hangs_in_mid_load_loses_no_reservation";
    let Some(redis) = or_skip(test, Redis::start().await) else { return };
    let url = redis.database().unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(KnownLedger::default());
    let bench = Bench { limits: [instance(&url, SHORT, &ledger), instance(&url, SHORT, &ledger)] };
    let hanging = async {
        redis.freeze().await;
        tokio::time::sleep(SHORT * 3).await;
        redis.thaw().await;
    };
    outage::invariants_outlive(&bench, SHORT, hanging).await;
}

#[tokio::test]
async fn counters_that_were_lost_begin_anew_with_the_ledger() {
    let test = "counters_that_were_lost_begin_anew_with_the_ledger";
    let Some(redis) = or_skip(test, Redis::start().await) else { return };
    let known = Arc::new(KnownLedger::default());
    let ledger: Arc<dyn Ledger> = known.clone();
    let limits = instance(&redis.database().unwrap(), SHORT, &ledger);
    let claims = [(key("K"), limit(Quota::DailySpend, 100))];
    let reserve = async |tokens| {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            match limits.reserve(&reservation(&claims, tokens)).await {
                Err(NotReserved::Store(StoreError::Unavailable(_))) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                outcome => break outcome,
            }
        }
    };
    reserve(60).await.unwrap();
    redis.stop().await.unwrap();
    redis.start_again().await.unwrap();
    // What is reserved is in the ledger by the time that it is asked, however soon somebody else comes.
    let late = async {
        tokio::time::sleep(SHORT / 3).await;
        known.charge(&claims[0].0, Quota::DailySpend, 60);
    };
    let (state, ()) = tokio::join!(reserve(50), late);
    assert_eq!(refused(state).used, 60);
    assert_eq!(reserve(40).await.unwrap()[0].used, 100);
}

#[tokio::test]
async fn its_health_is_that_of_the_server() {
    let Some(redis) = or_skip("its_health_is_that_of_the_server", Redis::start().await) else { return };
    let limits = RedisLimits::new(&redis.database().unwrap(), SHORT, Arc::new(KnownLedger::default()), None).unwrap();
    limits.check().await.unwrap();
    redis.freeze().await;
    assert!(matches!(limits.check().await, Err(StoreError::Unavailable(_))));
    redis.thaw().await;
    let claims = [(key("K"), limit(Quota::Requests, 1))];
    let unserved = reservation(&claims, 0);
    redis.stop().await.unwrap();
    assert!(matches!(limits.check().await, Err(StoreError::Unavailable(_))));
    let outcome = limits.reserve(&unserved).await;
    assert!(matches!(outcome, Err(NotReserved::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    limits.settle(&unserved, amounts(0));
}
