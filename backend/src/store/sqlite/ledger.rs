//! The ledger in SQLite.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{batch::SqliteBatch, charged::charged, database::Database, usage::usage};
use crate::{
    ports::{Ledger, LedgerEntry, NotOpened, Quota, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written},
    store::writer::Writer,
};

/// Requests, in the tables `ledger` and `usage_daily`.
pub(crate) struct SqliteLedger {
    database: Arc<Database>,
    writer: Writer,
}

impl SqliteLedger {
    /// For who serves the file alone: what is open in it belongs to a program that died, and is interrupted.
    pub(crate) async fn serving(database: Arc<Database>) -> Result<Self, StoreError> {
        let mut batch = SqliteBatch::new(database.clone());
        let rows = batch.interrupt_all().await?;
        // What the last run deleted may be in its log still.
        database.forget().await;
        if rows > 0 {
            tracing::warn!(rows, "requests that the last run did not bring to an end are interrupted");
        }
        Ok(Self::over(database, batch))
    }

    /// For commands that only read it, beside who serves it.
    pub(crate) fn reading(database: Arc<Database>) -> Self {
        let batch = SqliteBatch::new(database.clone());
        Self::over(database, batch)
    }

    fn over(database: Arc<Database>, batch: SqliteBatch) -> Self {
        let writer = Writer::start(batch, database.timeout());
        Self { database, writer }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        self.writer.open(entry).await
    }

    fn settle(&self, settlement: Settlement) -> Written {
        self.writer.settle(settlement)
    }

    async fn charged(&self, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, StoreError> {
        self.database.bounded(charged(&self.database, subject, quota, at_ms)).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.database.bounded(usage(&self.database, query)).await
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.writer.flush(bound).await
    }
}
