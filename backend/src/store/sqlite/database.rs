//! Connections to a SQLite file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Error, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::failure::store_error;
use crate::{
    monitoring::{Statement, StoreWatch, metrics::Metrics},
    ports::StoreError,
};

/// As the conventions call it.
const SYSTEM: &str = "sqlite";

/// Of a new file. A commit writes and sums up whole pages, of which each request changes a few bytes.
const PAGE_BYTES: u32 = 1024;

/// First and longest pause between two tries to empty the write-ahead log.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A database in one file.
pub(crate) struct Database {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    path: PathBuf,
    most_pages: Option<u32>,
    timeout: Duration,
    watch: StoreWatch,
}

impl Database {
    /// The file at `path`, which is made when there is none; keeps up to `connections` open, besides the one that writes the
    /// ledger. Nobody waits longer than `timeout` for another who writes.
    pub(crate) fn new(path: &Path, connections: u32, timeout: Duration) -> Self {
        Self::with(path, connections, timeout, None)
    }

    /// The same, of a file that grows to no more than so many pages.
    pub(super) fn with(path: &Path, connections: u32, timeout: Duration, most_pages: Option<u32>) -> Self {
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            // Readers and the writer do not hold each other up, and a commit is one write to the end of a file.
            .journal_mode(SqliteJournalMode::Wal)
            // A commit survives the death of the program; of a power cut it may lose the last moments.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            // What is deleted is overwritten.
            .pragma("secure_delete", "ON")
            .busy_timeout(timeout)
            .disable_statement_logging();
        if let Some(pages) = most_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(timeout)
            .connect_lazy_with(options.clone());
        let watch = StoreWatch::new(SYSTEM, None);
        Self { pool, options, path: path.to_owned(), most_pages, timeout, watch }
    }

    /// The same, with its calls measured.
    pub(crate) fn measured(self, metrics: Option<Metrics>) -> Self {
        Self { watch: StoreWatch::new(SYSTEM, metrics), ..self }
    }

    /// Measures calls that are made without it.
    pub(super) fn watch(&self) -> &StoreWatch {
        &self.watch
    }

    /// Does `work`, and gives it up when it takes too long: twice the time for which locks are waited for, since the
    /// connection has to be waited for too.
    pub(super) async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(2 * self.timeout, work).await {
            Ok(done) => done.map_err(store_error),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }

    /// The same, of what is asked on behalf of somebody: told in his trace, and measured.
    pub(super) async fn ask<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        // What it becomes is large, and would be held several times over.
        let work = Box::pin(self.bounded(work));
        self.watch.watch(statement, work).await
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

    /// The connection that writes the ledger, set up like all others. Whoever uses it holds his thread up.
    pub(super) fn writing_connection(&self) -> rusqlite::Result<rusqlite::Connection> {
        use rusqlite::OpenFlags;
        // Not `SQLITE_OPEN_URI`: the path is one, whatever it looks like.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&self.path, flags)?;
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "NORMAL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, name, value)?;
        }
        connection.pragma_update(None, "secure_delete", "ON")?;
        // By who writes, when it holds nobody up.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        if let Some(pages) = self.most_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        Ok(connection)
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
