//! The ledger in PostgreSQL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{batch::PostgresBatch, charged::charged, database::Database, lease, lease::Lease, usage::usage};
use crate::{
    monitoring::Statement,
    ports::{Ledger, LedgerEntry, NotOpened, Quota, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written},
    store::writer::Writer,
};

const SELECT_LEDGER: Statement = Statement::new("SELECT", "ledger");
const SELECT_USAGE_DAILY: Statement = Statement::new("SELECT", "usage_daily");

/// Requests, in the tables `ledger` and `usage_daily`.
pub(crate) struct PostgresLedger {
    database: Arc<Database>,
    writer: Writer,
    /// What keeps the lease alive.
    _lease: Arc<Lease>,
}

impl PostgresLedger {
    /// Opens rows for this process under a lease of this length, and interrupts those of processes that died. Must be
    /// called inside a tokio runtime.
    pub(crate) fn serving(database: Arc<Database>, length: Duration) -> Self {
        let lease = Arc::new(Lease::new(length));
        tokio::spawn(lease::keep(Arc::downgrade(&lease), database.clone()));
        Self::over(database, lease)
    }

    /// For commands that only read it, beside those who serve. Must be called inside a tokio runtime.
    pub(crate) fn reading(database: Arc<Database>) -> Self {
        Self::over(database, Arc::new(Lease::new(lease::LEASE)))
    }

    fn over(database: Arc<Database>, lease: Arc<Lease>) -> Self {
        let writer = Writer::start(PostgresBatch::new(database.clone(), lease.clone()), database.timeout());
        Self { database, writer, _lease: lease }
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        self.writer.open(entry).await
    }

    fn settle(&self, settlement: Settlement) -> Written {
        self.writer.settle(settlement)
    }

    async fn charged(&self, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, StoreError> {
        self.database
            .ask(SELECT_LEDGER, async {
                let mut connection = self.database.connection().await?;
                let charged = charged(&mut connection, subject, quota, at_ms).await?;
                connection.give_back();
                Ok(charged)
            })
            .await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.database
            .ask(SELECT_USAGE_DAILY, async {
                let mut connection = self.database.connection().await?;
                let rows = usage(&mut connection, query).await?;
                connection.give_back();
                Ok(rows)
            })
            .await
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.writer.flush(bound).await
    }
}
