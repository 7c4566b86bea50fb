//! The ledger added up for the business, in SQLite.

use std::sync::Arc;

use sqlx::{Sqlite, pool::PoolConnection, sqlite::SqliteRow as DatabaseRow};

use super::database::Database;
use crate::store::rollups::rows::rows;

/// Rows of a file.
pub(crate) struct SqliteRows {
    database: Arc<Database>,
}

impl SqliteRows {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

/// What a condition is read as.
type Flag = i64;

const ADD_GROUPS: &str = "INSERT INTO business (slot, slots, provider, model, outcome, figures) \
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($3)";
const ADD_USERS: &str = "INSERT INTO active_users (day, tenant, user_name) \
     SELECT $1, value ->> 0, value ->> 1 FROM json_each($2) WHERE true ON CONFLICT DO NOTHING";
const ADD_CONVERSATIONS: &str = "INSERT INTO conversation_activity AS known (id, first_ms, last_ms, turns, completed) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($1) WHERE true \
     ON CONFLICT (id) DO UPDATE SET last_ms = excluded.last_ms, turns = known.turns + excluded.turns, \
     completed = excluded.completed";
const SOME_CONVERSATIONS: &str = "SELECT id, first_ms, last_ms, turns, completed FROM conversation_activity \
     WHERE id IN (SELECT value FROM json_each($1))";

async fn connect(database: &Database) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
    database.pool().acquire().await
}

fn give_back(connection: PoolConnection<Sqlite>) {
    drop(connection);
}

rows!(SqliteRows);
