//! Incidents in SQLite.

use sqlx::{Sqlite, pool::PoolConnection, sqlite::SqliteRow as DatabaseRow};

use super::database::Database;
use crate::store::incidents::incidents;

async fn connect(database: &Database) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
    database.pool().acquire().await
}

fn give_back(connection: PoolConnection<Sqlite>) {
    drop(connection);
}

incidents!(SqliteIncidents);
