//! Where things are kept: SQLite within the program, or servers that several instances share.

mod incidents;
mod limits;
mod postgres;
mod rollups;
mod schema;
mod sqlite;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub(crate) use self::{
    limits::{PostgresLimits, ProcessLimits, RedisLimits},
    postgres::PostgresNotOpened,
    sqlite::NotLocked,
};
use self::{
    postgres::PostgresStores,
    rollups::Rollups,
    schema::Schema,
    sqlite::{
        FileLock, SqliteConversations, SqliteHealth, SqliteIncidents, SqliteKeys, SqliteLedger, SqliteRows,
        SqliteSloCounts,
    },
};
use crate::{
    monitoring::metrics::Metrics,
    ports::{Business, Conversations, Health, Incidents, Keys, Ledger, SloCounts, StoreError},
};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, which is made when there is none.
    Sqlite(PathBuf),
    /// A server, by its URL, which may hold a password.
    Postgres(String),
}

/// How a store is used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where it is.
    pub(crate) place: Place,
    /// Most connections, besides the one that writes the ledger.
    pub(crate) connections: u32,
    /// Longest wait of a request for it.
    pub(crate) timeout: Duration,
    /// A schema that is old is brought up to date; otherwise it is refused.
    pub(crate) migrate: bool,
    /// What calls of it are measured with.
    pub(crate) metrics: Option<Metrics>,
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Serving: rows of the dead are interrupted, and a file is served by one program at a time.
    Serve,
    /// A command that asks or changes something beside those who serve.
    Command,
}

/// A store that is open.
#[derive(Clone)]
pub(crate) struct Stores {
    /// Requests and what they cost.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// API keys.
    pub(crate) keys: Arc<dyn Keys>,
    /// Conversations.
    pub(crate) conversations: Arc<dyn Conversations>,
    /// Whether it answers.
    pub(crate) health: Arc<dyn Health>,
    /// What Alertmanager told.
    pub(crate) incidents: Arc<dyn Incidents>,
    /// The ledger, added up for the business.
    pub(crate) business: Arc<dyn Business>,
    /// What objectives are judged by.
    pub(crate) slo_counts: Arc<dyn SloCounts>,
    /// The server's database, where limits can be counted too.
    pub(crate) postgres: Option<Arc<postgres::Database>>,
    /// Held for as long as the file is served.
    _lock: Option<Arc<FileLock>>,
}

/// Why a store cannot be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenFailed {
    /// Another program serves the same file.
    #[error("{place} cannot be served")]
    Locked {
        /// Where.
        place: String,
        /// Why.
        #[source]
        source: NotLocked,
    },
    /// `store.migrate = manual`, and it is due.
    #[error("the schema of {place} is of an earlier version: `goblin-backend migrate` brings it up to date")]
    Old {
        /// Where.
        place: String,
    },
    /// A newer version was here.
    #[error("the schema of {place} is of a later version: run that version, or restore a back-up")]
    Newer {
        /// Where.
        place: String,
    },
    /// It cannot be reached, read or written.
    #[error("{place} cannot be used; look at store.url")]
    Unusable {
        /// Where, without secrets.
        place: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// PostgreSQL's own reasons.
    #[error(transparent)]
    Postgres(#[from] PostgresNotOpened),
}

/// Opens a store.
pub(crate) async fn open(settings: &Settings, purpose: Purpose) -> Result<Stores, OpenFailed> {
    match &settings.place {
        Place::Sqlite(path) => open_sqlite(path, settings, purpose).await,
        Place::Postgres(url) => {
            let Settings { connections, timeout, migrate, metrics, .. } = settings;
            let all = PostgresStores::open(url, *connections, *timeout, *migrate, purpose, metrics.clone()).await?;
            Ok(Stores {
                ledger: all.ledger,
                keys: all.keys,
                conversations: all.conversations,
                health: all.health,
                incidents: all.incidents,
                business: all.business,
                slo_counts: all.slo_counts,
                postgres: Some(all.database),
                _lock: None,
            })
        }
    }
}

/// Brings the schema of a store up to date, whatever `settings.migrate` says.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), OpenFailed> {
    let settings = Settings { migrate: true, ..settings.clone() };
    match &settings.place {
        Place::Sqlite(path) => prepare_sqlite(path, &settings).await,
        Place::Postgres(url) => {
            Ok(PostgresStores::open(url, 1, settings.timeout, true, Purpose::Command, None).await.map(|_| ())?)
        }
    }
}

async fn open_sqlite(path: &Path, settings: &Settings, purpose: Purpose) -> Result<Stores, OpenFailed> {
    let place = || settings.place.shown();
    let lock = match purpose {
        Purpose::Serve => {
            let taken = FileLock::take(path);
            Some(Arc::new(taken.map_err(|source| OpenFailed::Locked { place: place(), source })?))
        }
        Purpose::Command => None,
    };
    prepare_sqlite(path, settings).await?;
    let database = sqlite::Database::new(path, settings.connections, settings.timeout);
    let database = Arc::new(database.measured(settings.metrics.clone()));
    let ledger = match purpose {
        Purpose::Serve => SqliteLedger::serving(database.clone()).await,
        Purpose::Command => SqliteLedger::reading(database.clone()),
    };
    let ledger = ledger.map_err(|source| OpenFailed::Unusable { place: place(), source })?;
    Ok(Stores {
        ledger: Arc::new(ledger),
        keys: Arc::new(SqliteKeys::new(database.clone())),
        conversations: Arc::new(SqliteConversations::new(database.clone())),
        health: Arc::new(SqliteHealth::new(database.clone())),
        incidents: Arc::new(SqliteIncidents::new(database.clone())),
        business: Arc::new(Rollups(SqliteRows::new(database.clone()))),
        slo_counts: Arc::new(SqliteSloCounts::new(database)),
        postgres: None,
        _lock: lock,
    })
}

/// Migrates, or makes sure that nothing has to be migrated.
async fn prepare_sqlite(path: &Path, settings: &Settings) -> Result<(), OpenFailed> {
    let place = settings.place.shown();
    let database = sqlite::Database::new(path, 1, settings.timeout);
    let prepared = async {
        let schema = sqlite::schema(&database).await?;
        if schema == Schema::Old && settings.migrate {
            sqlite::migrate(&database).await?;
            return Ok(Schema::Current);
        }
        Ok(schema)
    };
    match prepared.await {
        Ok(Schema::Current) => Ok(()),
        Ok(Schema::Old) => Err(OpenFailed::Old { place }),
        Ok(Schema::Newer) => Err(OpenFailed::Newer { place }),
        Err(error) => Err(OpenFailed::Unusable { place, source: sqlite::store_error(error) }),
    }
}

impl Place {
    /// For people, without secrets.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let (head, rest) = url.split_once("://").unwrap_or(("postgres", url));
                // User and password are before the last `@` of the authority; parameters may hold a password too.
                let rest = rest.split('?').next().unwrap_or_default();
                let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                format!("{head}://{rest}")
            }
        }
    }
}
