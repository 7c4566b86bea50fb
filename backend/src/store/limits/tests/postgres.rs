//! Limits that are counted in a real PostgreSQL.

use std::{sync::Arc, time::Duration};

use goblin_tests::{postgres::Postgres, server::or_skip};

use super::{
    Bench, KnownLedger,
    bench::{NOW, amounts, key, limit, refused, reservation},
    limits_contract, outage,
};
use crate::{
    ports::{Ledger, Limits, NotReserved, Quota},
    store::{
        limits::PostgresLimits,
        postgres::{Database, migrate},
    },
};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn bench(test: &str, ledger: Arc<dyn Ledger>) -> Option<Bench> {
    let postgres = or_skip(test, Postgres::shared().await)?;
    let url = postgres.database().await.unwrap();
    migrate(&Database::new(&url, 1, TIMEOUT).unwrap()).await.unwrap();
    Some(Bench { limits: [instance(&url, TIMEOUT, &ledger), instance(&url, TIMEOUT, &ledger)] })
}

fn instance(url: &str, timeout: Duration, ledger: &Arc<dyn Ledger>) -> Arc<dyn Limits> {
    Arc::new(PostgresLimits::new(Arc::new(Database::new(url, 8, timeout).unwrap()), ledger.clone()))
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
    let Some(postgres) = or_skip(test, Postgres::start().await) else { return };
    let url = postgres.database().await.unwrap();
    migrate(&Database::new(&url, 1, TIMEOUT).unwrap()).await.unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(KnownLedger::default());
    let timeout = Duration::from_millis(500);
    let bench = Bench { limits: [instance(&url, timeout, &ledger), instance(&url, timeout, &ledger)] };
    let stopping = async {
        postgres.stop().await.unwrap();
        postgres.start_again().await.unwrap();
        postgres.crash().await.unwrap();
        postgres.start_again().await.unwrap();
    };
    outage::invariants_outlive(&bench, timeout, stopping).await;
}

#[tokio::test]
async fn a_counter_that_somebody_locks_is_not_waited_for_without_end() {
    let test = "a_counter_that_somebody_locks_is_not_waited_for_without_end";
    let Some(postgres) = or_skip(test, Postgres::shared().await) else { return };
    let url = postgres.database().await.unwrap();
    let database = Database::new(&url, 1, TIMEOUT).unwrap();
    migrate(&database).await.unwrap();
    let limits = instance(&url, Duration::from_millis(300), &(Arc::new(KnownLedger::default()) as Arc<dyn Ledger>));
    let claims = [(key("K"), limit(Quota::Tokens, 10))];
    limits.reserve(&reservation(&claims, 4)).await.unwrap();
    let mut locker = database.unbounded_connection().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE limit_counters IN EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let held = reservation(&claims, 5);
    let outcome = tokio::time::timeout(Duration::from_secs(10), limits.reserve(&held)).await.expect("it waits on");
    assert!(matches!(outcome, Err(NotReserved::Store(crate::ports::StoreError::Unavailable(_)))), "{outcome:?}");
    limits.settle(&held, amounts(0));
    sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    assert_eq!(limits.flush(TIMEOUT).await, 0);
    assert_eq!(refused(limits.reserve(&reservation(&claims, 7)).await).used, 4);
    assert_eq!(refused(limits.reserve(&reservation(&claims, 7)).await).resets_ms, NOW + 60_000);
}
