//! Connections to a SQLite file.

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::failure::store_error;
use crate::ports::StoreError;

/// First and longest pause between two tries to empty the write-ahead log.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A database in one file.
pub(crate) struct Database {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    timeout: Duration,
}

impl Database {
    /// The file at `path`, which is made when there is none; keeps up to `connections` open, besides the one that writes the
    /// ledger. Nobody waits longer than `timeout` for another who writes.
    pub(crate) fn new(path: &Path, connections: u32, timeout: Duration) -> Self {
        Self::with(path, connections, timeout, SqliteConnectOptions::new())
    }

    /// The same, with some options already set.
    pub(super) fn with(path: &Path, connections: u32, timeout: Duration, options: SqliteConnectOptions) -> Self {
        let options = options
            .filename(path)
            .create_if_missing(true)
            // Readers and the writer do not hold each other up, and a commit is one write to the end of a file.
            .journal_mode(SqliteJournalMode::Wal)
            // A commit survives the death of the program; of a power cut it may lose the last moments.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            // What is deleted is overwritten.
            .pragma("secure_delete", "ON")
            .busy_timeout(timeout)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(timeout)
            .connect_lazy_with(options.clone());
        Self { pool, options, timeout }
    }

    /// Does `work`, and gives it up when it takes too long: twice the time for which locks are waited for, since the
    /// connection has to be waited for too.
    pub(super) async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(2 * self.timeout, work).await {
            Ok(done) => done.map_err(store_error),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }

    /// Takes what was deleted out of the write-ahead log. Where somebody reads for longer than is waited for here, that is
    /// done as soon as he has ended; where the program ends before, when it starts again.
    pub(super) async fn forget(self: &Arc<Self>) {
        let forgotten = tokio::spawn(empty_log_of(Arc::downgrade(self)));
        if tokio::time::timeout(self.timeout, forgotten).await.is_err() {
            tracing::warn!("what was deleted is in the write-ahead log until whoever reads the database has ended");
        }
    }

    /// Empties the write-ahead log into the file, where what was deleted is overwritten. `false`: somebody reads or writes
    /// just now, who keeps it from being emptied.
    async fn empty_log(&self) -> Result<bool, StoreError> {
        // Whoever waits for readers here keeps the ledger from being written meanwhile: rather come back.
        let options = self.options.clone().busy_timeout(Duration::from_millis(10));
        let emptied = async {
            let mut connection = options.connect().await?;
            let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(busy == 0)
        };
        match self.bounded(emptied).await {
            Err(StoreError::Unavailable(_)) => Ok(false),
            emptied => emptied,
        }
    }

    /// Connections for short questions.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A connection besides the pool's.
    pub(super) async fn own_connection(&self) -> Result<SqliteConnection, Error> {
        self.options.connect().await
    }

    /// The longest that anybody waits for a lock.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Empties the write-ahead log as soon as nobody keeps it from that.
async fn empty_log_of(database: Weak<Database>) {
    let mut pause = PAUSES.0;
    while let Some(database) = database.upgrade() {
        match database.empty_log().await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the write-ahead log cannot be emptied");
            }
        }
        drop(database);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
