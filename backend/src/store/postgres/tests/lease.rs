//! Instances that die, and those that only seem to.

use std::{sync::Arc, time::Duration};

use super::bench::{NOW, PATIENCE, ask, database, entry, settlement, today};
use crate::{
    ports::{Ledger as _, Quota, Subject, UsageBy},
    store::postgres::{Database, PostgresLedger},
};

/// Long enough for a busy machine to renew it in time, short enough to wait for.
const LENGTH: Duration = Duration::from_secs(4);

const OPEN: &str = "SELECT COUNT(*) FROM ledger WHERE outcome IS NULL";
const INTERRUPTED: &str = "SELECT COUNT(*) FROM ledger WHERE outcome = 'interrupted'";

fn ledger(database: &Arc<Database>) -> PostgresLedger {
    PostgresLedger::serving(database.clone(), LENGTH)
}

async fn wait_for(database: &Database, sql: &'static str, count: i64) {
    let waiting = async {
        while ask(database, sql).await != count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {count}: {sql}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_dead_are_interrupted_and_those_of_the_living_are_not() {
    let test = "rows_of_the_dead_are_interrupted_and_those_of_the_living_are_not";
    let Some(database) = database(test).await else { return };
    let (living, dying) = (ledger(&database), ledger(&database));
    let (lives, dies, ended) = (entry(), entry(), entry());
    living.open(lives.clone()).await.unwrap();
    for entry in [&dies, &ended] {
        dying.open(entry.clone()).await.unwrap();
    }
    dying.settle(settlement(ended.request_id)).await.unwrap();
    drop(dying);
    wait_for(&database, INTERRUPTED, 1).await;
    assert_eq!(ask(&database, OPEN).await, 1);
    // Charged is what was reserved, the cost is not known.
    let rows = living.usage(&today(UsageBy::Key)).await.unwrap();
    assert_eq!((rows[0].interrupted, rows[0].completed, rows[0].cost_unknown), (1, 1, 1));
    let key = Subject::Key("K".to_owned());
    assert_eq!(living.charged(&key, Quota::Tokens, NOW).await.unwrap(), 100 + 100 + 3);
    // Its settlement comes too late, the other's does not.
    living.settle(settlement(dies.request_id)).await.unwrap();
    living.settle(settlement(lives.request_id)).await.unwrap();
    assert_eq!(ask(&database, INTERRUPTED).await, 1);
    assert_eq!(ask(&database, OPEN).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_found_at_start_are_interrupted_when_their_time_is_over() {
    let Some(database) = database("rows_found_at_start_are_interrupted_when_their_time_is_over").await else { return };
    let before = ledger(&database);
    before.open(entry()).await.unwrap();
    drop(before);
    let _after = ledger(&database);
    wait_for(&database, INTERRUPTED, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_dead_because_the_server_was_away() {
    let test = "nobody_is_dead_because_the_server_was_away";
    let started = goblin_tests::postgres::Postgres::start().await;
    let Some(postgres) = goblin_tests::server::or_skip(test, started) else { return };
    let database = super::bench::connect(&postgres.database().await.unwrap(), PATIENCE);
    crate::store::postgres::migrate(&database).await.unwrap();
    let instances = [ledger(&database), ledger(&database)];
    for ledger in &instances {
        ledger.open(entry()).await.unwrap();
    }
    // Both may judge by then.
    tokio::time::sleep(LENGTH + LENGTH / 2).await;
    postgres.stop().await.unwrap();
    tokio::time::sleep(LENGTH + LENGTH / 2).await;
    postgres.start_again().await.unwrap();
    // Time for more than one round of everybody.
    tokio::time::sleep(LENGTH + LENGTH / 2).await;
    assert_eq!(ask(&database, OPEN).await, 2);
}
