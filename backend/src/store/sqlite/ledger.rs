//! The ledger in SQLite.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{batch::SqliteBatch, charged::charged, database::Database, usage::usage};
use crate::{
    monitoring::Statement,
    ports::{Ledger, LedgerEntry, NotOpened, Quota, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written},
    store::writer::{Opened, Writer},
};

const SELECT_LEDGER: Statement = Statement::new("SELECT", "ledger");
const SELECT_USAGE_DAILY: Statement = Statement::new("SELECT", "usage_daily");

/// Requests, in the tables `ledger` and `usage_daily`.
pub(crate) struct SqliteLedger {
    database: Arc<Database>,
    batch: SqliteBatch,
    writer: Writer,
}

impl SqliteLedger {
    /// For who serves the file alone: what is open in it belongs to a program that died, and is interrupted.
    pub(crate) async fn serving(database: Arc<Database>) -> Result<Self, StoreError> {
        let batch = SqliteBatch::new(database.clone());
        let interrupting = tokio::task::spawn_blocking(move || batch.interrupt_all().map(|rows| (batch, rows)));
        let (batch, rows) = interrupting.await.map_err(|error| StoreError::Unavailable(error.into()))??;
        // What the last run deleted may be in its log still.
        database.forget().await;
        if rows > 0 {
            tracing::warn!(rows, "requests that the last run did not bring to an end are interrupted");
        }
        Self::over(database, batch)
    }

    /// For commands that only read it, beside who serves it.
    pub(crate) fn reading(database: Arc<Database>) -> Result<Self, StoreError> {
        let batch = SqliteBatch::new(database.clone());
        Self::over(database, batch)
    }

    fn over(database: Arc<Database>, batch: SqliteBatch) -> Result<Self, StoreError> {
        let writer = Writer::start_on_thread(batch.clone(), database.timeout());
        let writer = writer.map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self { database, batch, writer })
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        match self.batch.open_at_once(&entry) {
            Some(Opened::New) => Ok(()),
            Some(Opened::Claimed) => Err(NotOpened::Claimed),
            None => self.writer.open(entry).await,
        }
    }

    fn settle(&self, settlement: Settlement) -> Written {
        self.writer.settle(settlement)
    }

    async fn charged(&self, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, StoreError> {
        self.database.ask(SELECT_LEDGER, charged(&self.database, subject, quota, at_ms)).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.database.ask(SELECT_USAGE_DAILY, usage(&self.database, query)).await
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.writer.flush(bound).await
    }
}
