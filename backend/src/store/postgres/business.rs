//! The ledger added up for the business, in PostgreSQL: by whichever instance comes first.

use std::sync::Arc;

use sqlx::postgres::PgRow as DatabaseRow;

use super::database::{Checkout, Database};
use crate::store::rollups::rows::rows;

/// Rows of a database that instances share.
pub(crate) struct PostgresRows {
    database: Arc<Database>,
}

impl PostgresRows {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

/// What a condition is read as.
type Flag = i32;

const ADD_GROUPS: &str = "INSERT INTO business (slot, slots, provider, model, outcome, figures) \
     SELECT $1, $2, row ->> 0, row ->> 1, row ->> 2, row ->> 3 FROM json_array_elements($3::json) AS rows (row)";
const ADD_USERS: &str = "INSERT INTO active_users (day, tenant, user_name) \
     SELECT $1, row ->> 0, row ->> 1 FROM json_array_elements($2::json) AS rows (row) ON CONFLICT DO NOTHING";
const ADD_CONVERSATIONS: &str = "INSERT INTO conversation_activity AS known (id, first_ms, last_ms, turns, completed) \
     SELECT row ->> 0, (row ->> 1)::bigint, (row ->> 2)::bigint, (row ->> 3)::bigint, (row ->> 4)::bigint \
     FROM json_array_elements($1::json) AS rows (row) \
     ON CONFLICT (id) DO UPDATE SET last_ms = excluded.last_ms, turns = known.turns + excluded.turns, \
     completed = excluded.completed";
const SOME_CONVERSATIONS: &str = "SELECT id, first_ms, last_ms, turns, completed FROM conversation_activity \
     WHERE id IN (SELECT json_array_elements_text($1::json))";

async fn connect(database: &Database) -> Result<Checkout, sqlx::Error> {
    database.connection().await
}

fn give_back(connection: Checkout) {
    connection.give_back();
}

rows!(PostgresRows);
