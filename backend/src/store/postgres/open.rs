//! PostgreSQL at the start of the program.

use std::{sync::Arc, time::Duration};

use super::{
    PostgresConversations, PostgresHealth, PostgresIncidents, PostgresKeys, PostgresLedger, PostgresRows,
    PostgresSloCounts,
    database::Database,
    failure::store_error,
    lease::LEASE,
    migrations::{migrate, schema},
};
use crate::{
    monitoring::metrics::Metrics,
    ports::StoreError,
    store::{Purpose, rollups::Rollups, schema::Schema},
};

/// Everything that is kept in PostgreSQL.
pub(crate) struct PostgresStores {
    /// What they are all in; for limits that are counted there too.
    pub(crate) database: Arc<Database>,
    pub(crate) ledger: Arc<PostgresLedger>,
    pub(crate) keys: Arc<PostgresKeys>,
    pub(crate) conversations: Arc<PostgresConversations>,
    pub(crate) health: Arc<PostgresHealth>,
    pub(crate) incidents: Arc<PostgresIncidents>,
    pub(crate) slo_counts: Arc<PostgresSloCounts>,
    pub(crate) business: Arc<Rollups<PostgresRows>>,
}

/// Why it cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresNotOpened {
    /// The URL is none. Nothing of it is repeated: it may hold a password.
    #[error("the URL of PostgreSQL cannot be read; it is postgres://user:password@host:port/database")]
    InvalidUrl,
    /// The schema is of an earlier version, and may not be changed now.
    #[error("the schema in PostgreSQL is of an earlier version: `goblin-backend migrate` brings it up to date")]
    Old,
    /// The schema is of a later version.
    #[error("the schema in PostgreSQL is of a later version: run that version, or restore a back-up")]
    Newer,
    /// It cannot be reached, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PostgresStores {
    /// Connects to `url`, over up to `connections`, and brings the schema up to date where it `may_migrate`. Nothing that
    /// is asked later takes longer than `timeout`. Must be called inside a tokio runtime.
    pub(crate) async fn open(
        url: &str,
        connections: u32,
        timeout: Duration,
        may_migrate: bool,
        purpose: Purpose,
        metrics: Option<Metrics>,
    ) -> Result<Self, PostgresNotOpened> {
        let database = Database::new(url, connections, timeout).map_err(|_| PostgresNotOpened::InvalidUrl)?;
        let database = Arc::new(database.measured(metrics));
        match schema(&database).await.map_err(store_error)? {
            Schema::Current => {}
            Schema::Old if may_migrate => migrate(&database).await.map_err(store_error)?,
            Schema::Old => return Err(PostgresNotOpened::Old),
            Schema::Newer => return Err(PostgresNotOpened::Newer),
        }
        Ok(Self {
            ledger: Arc::new(match purpose {
                Purpose::Serve => PostgresLedger::serving(database.clone(), LEASE),
                Purpose::Command => PostgresLedger::reading(database.clone()),
            }),
            keys: Arc::new(PostgresKeys::new(database.clone())),
            conversations: Arc::new(PostgresConversations::new(database.clone())),
            health: Arc::new(PostgresHealth::new(database.clone())),
            incidents: Arc::new(PostgresIncidents::new(database.clone())),
            slo_counts: Arc::new(PostgresSloCounts::new(database.clone())),
            business: Arc::new(Rollups(PostgresRows::new(database.clone()))),
            database,
        })
    }
}
