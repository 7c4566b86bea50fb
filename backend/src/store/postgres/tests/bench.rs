//! A database of its own for each test.

use std::{sync::Arc, time::Duration};

use goblin_tests::{postgres::Postgres, server::or_skip};

pub(super) use crate::store::tests::bench::{NOW, PATIENCE, entry, owner, settlement, today};
use crate::store::{
    postgres::{
        Database, PostgresConversations, PostgresIncidents, PostgresKeys, PostgresLedger, PostgresRows,
        PostgresSloCounts, lease::LEASE, migrate,
    },
    rollups::Rollups,
    tests::Kept,
};

/// URL of an empty database of the server that all tests share.
pub(super) async fn empty(test: &str) -> Option<String> {
    let postgres = or_skip(test, Postgres::shared().await)?;
    Some(postgres.database().await.unwrap())
}

/// One that has its schema.
pub(super) async fn database(test: &str) -> Option<Arc<Database>> {
    let database = connect(&empty(test).await?, PATIENCE);
    migrate(&database).await.unwrap();
    Some(database)
}

pub(super) fn connect(url: &str, timeout: Duration) -> Arc<Database> {
    Arc::new(Database::new(url, 4, timeout).unwrap())
}

/// The ledger of one instance.
pub(super) fn ledger(database: &Arc<Database>) -> PostgresLedger {
    PostgresLedger::serving(database.clone(), LEASE)
}

/// A store with two instances.
pub(super) async fn kept(test: &str) -> Option<Kept> {
    let database = database(test).await?;
    Some(Kept {
        ledgers: [Arc::new(ledger(&database)), Arc::new(ledger(&database))],
        keys: Arc::new(PostgresKeys::new(database.clone())),
        conversations: Arc::new(PostgresConversations::new(database.clone())),
        incidents: Arc::new(PostgresIncidents::new(database.clone())),
        slo_counts: Arc::new(PostgresSloCounts::new(database.clone())),
        business: Arc::new(Rollups(PostgresRows::new(database.clone()))),
        _place: Box::new(()),
    })
}

/// What a question of one number is answered with.
pub(super) async fn ask(database: &Database, sql: &'static str) -> i64 {
    let mut connection = database.unbounded_connection().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}
