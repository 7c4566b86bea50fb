//! Connections to PostgreSQL, none of which anybody waits for longer than is allowed.

use std::{
    io,
    ops::{Deref, DerefMut},
    str::FromStr as _,
    time::Duration,
};

use sqlx::{
    Connection as _, Error, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use super::failure::store_error;
use crate::{
    monitoring::{Statement, StoreWatch, metrics::Metrics},
    ports::StoreError,
};

/// As the conventions call it.
const SYSTEM: &str = "postgresql";

/// A connection that rested longer is asked whether it still is one, before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// A PostgreSQL database, reached lazily: it need not be there when this is made.
pub(crate) struct Database {
    pool: PgPool,
    options: PgConnectOptions,
    timeout: Duration,
    watch: StoreWatch,
}

impl Database {
    /// Reads a URL (`postgres://user:password@host:port/database?sslmode=…`); keeps up to `connections` open. Nothing
    /// that is asked takes longer than `timeout`, the way to a connection included.
    pub(crate) fn new(url: &str, connections: u32, timeout: Duration) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("goblin-assistant");
        // The server gives up with the client, so that what was given up does not hold its locks.
        let bound = format!("{}ms", timeout.as_millis().max(1));
        let bounded = options.clone().options([
            ("statement_timeout", bound.as_str()),
            ("lock_timeout", bound.as_str()),
            ("idle_in_transaction_session_timeout", bound.as_str()),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, rest| {
                Box::pin(async move {
                    if rest.idle_for > RESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(bounded);
        Ok(Self { pool, options, timeout, watch: StoreWatch::new(SYSTEM, None) })
    }

    /// The same, with its calls measured.
    pub(crate) fn measured(self, metrics: Option<Metrics>) -> Self {
        Self { watch: StoreWatch::new(SYSTEM, metrics), ..self }
    }

    /// Does `work`, and gives it up when it takes too long.
    pub(crate) async fn bounded<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done.map_err(store_error),
            Err(late) => Err(StoreError::Unavailable(late.into())),
        }
    }

    /// The same, of what is asked on behalf of somebody: told in his trace, and measured.
    pub(crate) async fn ask<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        // What it becomes is large, and would be held several times over.
        let work = Box::pin(self.bounded(work));
        self.watch.watch(statement, work).await
    }

    /// A connection out of the pool.
    pub(crate) async fn connection(&self) -> Result<Checkout, Error> {
        Ok(Checkout(Some(self.pool.acquire().await?)))
    }

    /// A connection of its own, on which statements may take as long as they need.
    pub(crate) async fn unbounded_connection(&self) -> Result<PgConnection, Error> {
        let connecting = PgConnection::connect_with(&self.options);
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(connected) => connected,
            Err(late) => Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, late))),
        }
    }

    /// The longest that anything may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// A connection that goes back to the pool only when it was given back. One that was dropped, be it in mid-answer, is
/// closed: the pool would wait for the rest of the answer, for ever when the server is gone without a word.
pub(crate) struct Checkout(Option<PoolConnection<Postgres>>);

impl Checkout {
    /// Gives it back, with nothing pending on it.
    pub(crate) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Checkout {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_deref().unwrap_or_else(|| unreachable!("it was given back"))
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_deref_mut().unwrap_or_else(|| unreachable!("it was given back"))
    }
}
