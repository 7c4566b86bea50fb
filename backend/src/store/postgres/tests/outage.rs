//! A server that is stopped, gone or locked.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use goblin_tests::{postgres::Postgres, server::or_skip};
use tokio::sync::Mutex;

use super::bench::{PATIENCE, ask, connect, empty, entry, ledger, settlement};
use crate::{
    ports::{Health as _, Keys as _, Ledger as _, NotOpened, StoreError},
    store::postgres::{PostgresHealth, PostgresKeys, migrate},
};

const TIMEOUT: Duration = Duration::from_millis(500);
const CALLERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_request_is_lost_when_the_server_stops_in_mid_load() {
    let test = "no_accepted_request_is_lost_when_the_server_stops_in_mid_load";
    let Some(postgres) = or_skip(test, Postgres::start().await) else { return };
    let url = postgres.database().await.unwrap();
    let (patient, database) = (connect(&url, PATIENCE), connect(&url, TIMEOUT));
    migrate(&patient).await.unwrap();
    let instances = [ledger(&database), ledger(&database)];
    let (is_over, served, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let written = Mutex::new(Vec::new());
    let caller = async |number: usize| {
        let ledger = &instances[number % 2];
        while !is_over.load(Ordering::Acquire) {
            let entry = entry();
            let (id, began) = (entry.request_id, Instant::now());
            match ledger.open(entry).await {
                Ok(()) => {
                    served.fetch_add(1, Ordering::AcqRel);
                    written.lock().await.push(ledger.settle(settlement(id)));
                }
                Err(NotOpened::Store(StoreError::Unavailable(_))) => {
                    refused.fetch_add(1, Ordering::AcqRel);
                }
                Err(error) => panic!("{error:?}"),
            }
            assert!(began.elapsed() < TIMEOUT + Duration::from_secs(10), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let load = futures_util::future::join_all((0..CALLERS).map(caller));
    let story = async {
        reach(&served, 200).await;
        for is_crash in [false, true] {
            let ended = if is_crash { postgres.crash().await } else { postgres.stop().await };
            ended.unwrap();
            let before = refused.load(Ordering::Acquire);
            reach(&refused, before + 1).await;
            postgres.start_again().await.unwrap();
            let before = served.load(Ordering::Acquire);
            reach(&served, before + 200).await;
        }
        is_over.store(true, Ordering::Release);
    };
    tokio::join!(load, story);
    for written in written.into_inner() {
        tokio::time::timeout(PATIENCE, written).await.expect("it is not written").expect("it is not settled");
    }
    let served = i64::try_from(served.into_inner()).unwrap();
    assert_eq!(ask(&patient, "SELECT COUNT(*) FROM ledger WHERE outcome = 'completed'").await, served);
    let sql = "SELECT SUM(requests)::bigint FROM usage_daily WHERE outcome = 'completed'";
    assert_eq!(ask(&patient, sql).await, served);
    // Rows whose opening was not confirmed are settled by the writer itself, where they are there at all.
    let settled = async {
        while ask(&patient, "SELECT COUNT(*) FROM ledger WHERE outcome IS NULL").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("rows stay open");
    let sql = "SELECT COUNT(*) FROM ledger WHERE outcome <> 'completed' AND charged_nano_usd > 0";
    assert_eq!(ask(&patient, sql).await, 0);
    for ledger in &instances {
        assert_eq!(ledger.flush(PATIENCE).await, 0);
    }
}

async fn reach(count: &AtomicU64, goal: u64) {
    let reaching = async {
        while count.load(Ordering::Acquire) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reaching).await.expect("it does not come to that");
}

#[tokio::test]
async fn locked_tables_and_absent_servers_are_told_in_time() {
    let Some(url) = empty("locked_tables_and_absent_servers_are_told_in_time").await else { return };
    let (patient, database) = (connect(&url, PATIENCE), connect(&url, TIMEOUT));
    let health = PostgresHealth::new(database.clone());
    // Without its schema it is of no use.
    assert!(matches!(health.check().await, Err(StoreError::Refused(_))));
    migrate(&patient).await.unwrap();
    health.check().await.unwrap();
    let ledger = ledger(&database);
    ledger.open(entry()).await.unwrap();
    let mut locker = patient.unbounded_connection().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE ledger, keys IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let outcome = tokio::time::timeout(PATIENCE, ledger.open(entry())).await.expect("it waits on");
    assert!(matches!(outcome, Err(NotOpened::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    let keys = PostgresKeys::new(database.clone());
    let outcome = tokio::time::timeout(PATIENCE, keys.find("K")).await.expect("it waits on");
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    assert_eq!(keys.find("K").await.unwrap(), None);
    ledger.open(entry()).await.unwrap();

    let absent = connect("postgres://goblin:secret@127.0.0.1:1/none", TIMEOUT);
    let error = PostgresHealth::new(absent).check().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let unencrypted = connect(&format!("{url}?sslmode=require"), TIMEOUT);
    let error = PostgresHealth::new(unencrypted).check().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
