//! Openings and settlements of the ledger, all that wait in one transaction and one question to the connection: each
//! would be two changes of thread.
//!
//! All statements read one parameter, a JSON object: of several, sqlx counts those that a statement of a text does not
//! name as used, and binds the next statement's wrongly.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use goblin_shared::request_id::RequestId;
use sqlx::{Connection as _, Error, Row as _, SqliteConnection};

use super::{
    database::Database,
    failure::store_error,
    values::{request_id, sum},
    written_rows,
};
use crate::{
    ports::{LedgerEntry, Settlement, StoreError},
    store::writer::{Batch, Opened},
};

/// Inserts what is new, and answers with its ids.
macro_rules! open {
    () => {
        "INSERT INTO ledger (request_id, started_ms, api, stream, tenant, user_name, key_id, model_asked, trace_id, \
         conversation_id, reserved_requests, reserved_tokens, reserved_nano_usd) \
         SELECT unhex(o.value ->> 0), o.value ->> 1, o.value ->> 2, o.value ->> 3, o.value ->> 4, o.value ->> 5, \
         o.value ->> 6, o.value ->> 7, o.value ->> 8, o.value ->> 9, o.value ->> 10, o.value ->> 11, o.value ->> 12 \
         FROM json_each(?1, '$.opens') o WHERE true ON CONFLICT DO NOTHING RETURNING request_id; "
    };
}

/// Adds rows that are about to be settled to the sums of their days. These end at 2^62: one beyond SQLite's integers would
/// be an error, of the settlement too. `$rows`: what is joined with `ledger l`, which are the open rows; `$g`: where each
/// value of the settlement is.
macro_rules! add_up {
    ($outcome:literal, $provider:literal, $model:literal, $sums:expr, $rows:literal) => {
        concat!(
            "INSERT INTO usage_daily AS u (day, key_id, tenant, user_name, provider, model, outcome, requests, \
             prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, \
             cost_nano_usd, cost_unknown, charged_requests, charged_tokens, charged_nano_usd) \
             SELECT l.started_ms / 86400000, COALESCE(l.key_id, ''), l.tenant, l.user_name, ",
            $provider,
            ", ",
            $model,
            ", ",
            $outcome,
            ", COUNT(*), ",
            $sums,
            " FROM ",
            $rows,
            " WHERE l.outcome IS NULL \
             GROUP BY 1, 2, 3, 4, 5, 6, 7 \
             ON CONFLICT (day, key_id, tenant, user_name, provider, model, outcome) DO UPDATE SET \
             requests = u.requests + excluded.requests, \
             prompt_tokens = MIN(u.prompt_tokens + excluded.prompt_tokens, 4611686018427387904), \
             completion_tokens = MIN(u.completion_tokens + excluded.completion_tokens, 4611686018427387904), \
             cached_tokens = MIN(u.cached_tokens + excluded.cached_tokens, 4611686018427387904), \
             cache_write_tokens = MIN(u.cache_write_tokens + excluded.cache_write_tokens, 4611686018427387904), \
             reasoning_tokens = MIN(u.reasoning_tokens + excluded.reasoning_tokens, 4611686018427387904), \
             estimated = u.estimated + excluded.estimated, \
             cost_nano_usd = MIN(u.cost_nano_usd + excluded.cost_nano_usd, 4611686018427387904), \
             cost_unknown = u.cost_unknown + excluded.cost_unknown, \
             charged_requests = u.charged_requests + excluded.charged_requests, \
             charged_tokens = MIN(u.charged_tokens + excluded.charged_tokens, 4611686018427387904), \
             charged_nano_usd = MIN(u.charged_nano_usd + excluded.charged_nano_usd, 4611686018427387904); "
        )
    };
}

/// Adds turns to their conversations, as long as these are there and their owners'. Before the rows
/// are settled, so that a turn is added once as its request is.
macro_rules! append {
    () => {
        "INSERT INTO turns (conversation_id, number, request_id, at_ms, model, messages, prompt_tokens, \
         completion_tokens) \
         SELECT c.id, c.turns + ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY g.key), l.request_id, g.value ->> 4, \
         g.value ->> 5, g.value ->> 6, g.value ->> 7, g.value ->> 8 \
         FROM json_each(?1, '$.turns') g CROSS JOIN ledger l ON l.request_id = unhex(g.value ->> 0) AND l.outcome IS NULL \
         CROSS JOIN conversations c ON c.id = g.value ->> 1 AND c.tenant = g.value ->> 2 AND c.user_name = g.value ->> 3; \
         UPDATE conversations AS c SET turns = c.turns + s.turns, updated_ms = s.updated_ms, \
         prompt_tokens = c.prompt_tokens + s.prompt, completion_tokens = c.completion_tokens + s.completion \
         FROM (SELECT g.value ->> 1 AS id, g.value ->> 2 AS tenant, g.value ->> 3 AS user_name, COUNT(*) AS turns, \
         MAX(g.value ->> 4) AS updated_ms, SUM(g.value ->> 7) AS prompt, SUM(g.value ->> 8) AS completion \
         FROM json_each(?1, '$.turns') g CROSS JOIN ledger l ON l.request_id = unhex(g.value ->> 0) AND l.outcome IS NULL \
         GROUP BY 1, 2, 3) s \
         WHERE c.id = s.id AND c.tenant = s.tenant AND c.user_name = s.user_name; "
    };
}

/// Settles what is open.
macro_rules! settle {
    () => {
        concat!(
            add_up!(
                "g.value ->> 1",
                "COALESCE(g.value ->> 2, '')",
                "COALESCE(g.value ->> 3, '')",
                "SUM(g.value ->> 5), SUM(g.value ->> 6), SUM(g.value ->> 7), SUM(g.value ->> 8), SUM(g.value ->> 9), \
                 SUM(g.value ->> 10), COALESCE(SUM(g.value ->> 11), 0), COUNT(*) - COUNT(g.value ->> 11), \
                 SUM(g.value ->> 12), SUM(g.value ->> 13), SUM(g.value ->> 14)",
                "json_each(?1, '$.settlements') g CROSS JOIN ledger l ON l.request_id = unhex(g.value ->> 0)"
            ),
            "UPDATE ledger SET outcome = g.value ->> 1, provider = g.value ->> 2, model = g.value ->> 3, \
             attempts = g.value ->> 4, prompt_tokens = g.value ->> 5, completion_tokens = g.value ->> 6, \
             cached_tokens = g.value ->> 7, cache_write_tokens = g.value ->> 8, reasoning_tokens = g.value ->> 9, \
             tokens_estimated = g.value ->> 10, cost_nano_usd = g.value ->> 11, charged_requests = g.value ->> 12, \
             charged_tokens = g.value ->> 13, charged_nano_usd = g.value ->> 14, duration_us = g.value ->> 15, \
             first_content_us = g.value ->> 16, error_code = g.value ->> 17 \
             FROM json_each(?1, '$.settlements') g WHERE request_id = unhex(g.value ->> 0) AND outcome IS NULL; "
        )
    };
}

/// One statement is a transaction of its own.
const OPEN: &str = open!();
const SETTLE: &str = concat!("BEGIN IMMEDIATE; ", settle!(), "COMMIT");
const BOTH: &str = concat!("BEGIN IMMEDIATE; ", open!(), settle!(), "COMMIT");
const ALL: &str = concat!("BEGIN IMMEDIATE; ", open!(), append!(), settle!(), "COMMIT");

/// Settles every open row as interrupted, charged with what was reserved.
const INTERRUPT: &str = concat!(
    "BEGIN IMMEDIATE; ",
    add_up!(
        "'interrupted'",
        "''",
        "''",
        concat!(
            "0, 0, 0, 0, 0, 0, 0, COUNT(*), SUM(l.reserved_requests), ",
            sum!("l.reserved_tokens"),
            ", ",
            sum!("l.reserved_nano_usd")
        ),
        "ledger l"
    ),
    "UPDATE ledger SET outcome = 'interrupted', attempts = 0, prompt_tokens = 0, completion_tokens = 0, \
     cached_tokens = 0, cache_write_tokens = 0, reasoning_tokens = 0, tokens_estimated = 0, \
     charged_requests = reserved_requests, charged_tokens = reserved_tokens, charged_nano_usd = reserved_nano_usd \
     WHERE outcome IS NULL; COMMIT"
);

/// Writes on a connection that it keeps.
pub(super) struct SqliteBatch {
    database: Arc<Database>,
    connection: Option<SqliteConnection>,
}

impl SqliteBatch {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { database, connection: None }
    }

    /// Interrupts all that is open: to be called before anything is opened, when nobody else serves the file. How many
    /// rows there were.
    pub(super) async fn interrupt_all(&mut self) -> Result<u64, StoreError> {
        let mut connection = self.connection().await.map_err(store_error)?;
        let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM ledger WHERE outcome IS NULL")
            .fetch_one(&mut connection)
            .await
            .map_err(store_error)?;
        if open > 0 {
            self.transact(connection, sqlx::query(INTERRUPT)).await.map_err(store_error)?;
        } else {
            self.connection = Some(connection);
        }
        Ok(open.unsigned_abs())
    }

    async fn connection(&mut self) -> Result<SqliteConnection, Error> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.database.own_connection().await,
        }
    }

    /// Runs statements of which the first begins a transaction, or which are one alone; the ids that were inserted.
    async fn transact(
        &mut self,
        mut connection: SqliteConnection,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<HashSet<RequestId>, Error> {
        match query.fetch_all(&mut connection).await {
            Ok(rows) => {
                self.connection = Some(connection);
                rows.iter().map(|row| request_id(row.try_get(0)?)).collect()
            }
            Err(error) => {
                // Some errors end the transaction by themselves; with others it is still there. A connection that cannot
                // begin another is closed, which ends it too.
                let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
                match sqlx::query("BEGIN; ROLLBACK").execute(&mut connection).await {
                    Ok(_) => self.connection = Some(connection),
                    Err(_) => drop(connection.close_hard().await),
                }
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Batch for SqliteBatch {
    async fn write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, StoreError> {
        let connection = self.connection().await.map_err(store_error)?;
        let has_turns = settlements.iter().any(|settlement| settlement.turn.is_some());
        let sql = match (has_turns, opens.is_empty(), settlements.is_empty()) {
            (true, ..) => ALL,
            (false, _, true) => OPEN,
            (false, true, false) => SETTLE,
            (false, false, false) => BOTH,
        };
        let query = sqlx::query(sql).bind(written_rows::all(opens, settlements));
        let mut inserted = self.transact(connection, query).await.map_err(store_error)?;
        // Of two with one id in one batch the first has it.
        let opened = |entry: &LedgerEntry| {
            if inserted.remove(&entry.request_id) { Opened::New } else { Opened::Claimed }
        };
        Ok(opens.iter().map(opened).collect())
    }
}
