//! Openings and settlements of the ledger, all that wait in one statement.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::{Connection as _, Error, PgConnection, postgres::PgArguments, query::QueryAs, types::Uuid};

use super::{
    database::{Checkout, Database},
    lease::Lease,
    rollup::add_up,
    turns,
    values::{amount, bigint, integer, text, uuid},
};
use crate::{
    monitoring::Statement,
    ports::{LedgerEntry, Settlement, StoreError},
    store::writer::{Batch, Opened},
};

const INSERT_LEDGER: Statement = Statement::new("INSERT", "ledger");

/// A connection that rested longer is asked whether it still is one, so that a server that was restarted meanwhile
/// costs no request.
const RESTED: Duration = Duration::from_millis(200);

/// Inserts what is new, settles what is open, and adds the latter up, each row once. What it answers: ids that were
/// inserted (with nothing) or settled (with the try that did).
///
/// Rows are locked in one order by all: ledger before sums, each sorted. So instances wait for each other, but never in
/// a circle.
const WRITE: &str = concat!(
    "WITH opened AS (INSERT INTO ledger (request_id, opening, instance, started_ms, api, stream, tenant, user_name, \
     key_id, model_asked, trace_id, conversation_id, reserved_requests, reserved_tokens, reserved_nano_usd) \
     SELECT request_id, opening, $1, started_ms, api, stream, tenant, user_name, key_id, model_asked, trace_id, \
     conversation_id, reserved_requests, reserved_tokens, reserved_nano_usd \
     FROM UNNEST($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::boolean[], $7::text[], $8::text[], $9::text[], \
     $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[]) \
     AS o (request_id, opening, started_ms, api, stream, tenant, user_name, key_id, model_asked, trace_id, conversation_id, reserved_requests, reserved_tokens, \
     reserved_nano_usd) ORDER BY request_id ON CONFLICT DO NOTHING RETURNING request_id), \
     given AS (SELECT DISTINCT ON (request_id, opening) * \
     FROM UNNEST($16::uuid[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::integer[], $22::bigint[], \
     $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::boolean[], $28::bigint[], $29::bigint[], $30::bigint[], \
     $31::bigint[], $32::bigint[], $33::bigint[], $34::text[]) WITH ORDINALITY \
     AS s (request_id, opening, outcome, provider, model, attempts, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, \
     tokens_estimated, cost_nano_usd, charged_requests, charged_tokens, charged_nano_usd, duration_us, \
     first_content_us, error_code, place) ORDER BY request_id, opening, place), \
     settled AS (UPDATE ledger l SET outcome = g.outcome, provider = g.provider, model = g.model, \
     attempts = g.attempts, prompt_tokens = g.prompt_tokens, completion_tokens = g.completion_tokens, \
     cached_tokens = g.cached_tokens, cache_write_tokens = g.cache_write_tokens, \
     reasoning_tokens = g.reasoning_tokens, tokens_estimated = g.tokens_estimated, cost_nano_usd = g.cost_nano_usd, \
     charged_requests = g.charged_requests, charged_tokens = g.charged_tokens, \
     charged_nano_usd = g.charged_nano_usd, duration_us = g.duration_us, first_content_us = g.first_content_us, \
     error_code = g.error_code FROM given g \
     WHERE l.request_id = g.request_id AND l.opening = g.opening AND l.outcome IS NULL RETURNING l.*), ",
    add_up!(),
    " SELECT request_id, NULL::uuid FROM opened UNION ALL SELECT request_id, opening FROM settled"
);

/// Writes for one instance, on a connection that it keeps.
pub(crate) struct PostgresBatch {
    database: Arc<Database>,
    lease: Arc<Lease>,
    connection: Option<(Checkout, Instant)>,
}

impl PostgresBatch {
    pub(crate) fn new(database: Arc<Database>, lease: Arc<Lease>) -> Self {
        Self { database, lease, connection: None }
    }

    /// The connection, or another one when it is none any more.
    async fn connection(&mut self) -> Result<Checkout, Error> {
        if let Some((mut connection, used)) = self.connection.take()
            && (used.elapsed() < RESTED || connection.ping().await.is_ok())
        {
            return Ok(connection);
        }
        self.database.connection().await
    }

    async fn try_write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, Error> {
        let mut connection = self.connection().await?;
        if !opens.is_empty() {
            // A row whose instance seems dead would be interrupted at once.
            self.lease.ensure(&mut connection).await?;
        }
        let opened = if settlements.iter().any(|settlement| settlement.turn.is_some()) {
            let mut transaction = connection.begin().await?;
            let (opened, settled) = write(&mut transaction, self.lease.instance(), opens, settlements).await?;
            turns::append(&mut transaction, settlements, settled).await?;
            transaction.commit().await?;
            opened
        } else {
            // One statement is a transaction of its own.
            write(&mut connection, self.lease.instance(), opens, settlements).await?.0
        };
        self.connection = Some((connection, Instant::now()));
        Ok(opened)
    }
}

#[async_trait]
impl Batch for PostgresBatch {
    async fn write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, StoreError> {
        let database = self.database.clone();
        database.ask(INSERT_LEDGER, self.try_write(opens, settlements)).await
    }
}

/// What became of each open, and which ids were settled.
async fn write(
    connection: &mut PgConnection,
    instance: Uuid,
    opens: &[LedgerEntry],
    settlements: &[Settlement],
) -> Result<(Vec<Opened>, HashSet<Row>), Error> {
    let query = bind_settlements(bind_opens(sqlx::query_as(WRITE).bind(instance), opens), settlements);
    let (mut opened, mut settled) = (HashSet::new(), HashSet::new());
    for (id, settled_by) in query.fetch_all(connection).await? {
        match settled_by {
            None => opened.insert(id),
            Some(opening) => settled.insert((id, opening)),
        };
    }
    // Of two with one id in one batch the first has it.
    let opened =
        opens.iter().map(|entry| if opened.remove(&uuid(&entry.request_id)) { Opened::New } else { Opened::Claimed });
    Ok((opened.collect(), settled))
}

/// A row that was settled, and the try that did.
pub(super) type Row = (Uuid, Uuid);

type WriteQuery<'q> = QueryAs<'q, sqlx::Postgres, (Uuid, Option<Uuid>), PgArguments>;

fn bind_opens<'q>(query: WriteQuery<'q>, opens: &'q [LedgerEntry]) -> WriteQuery<'q> {
    fn column<'q, T>(opens: &'q [LedgerEntry], of: impl Fn(&'q LedgerEntry) -> T) -> Vec<T> {
        opens.iter().map(of).collect()
    }
    query
        .bind(column(opens, |entry| uuid(&entry.request_id)))
        .bind(column(opens, |entry| Uuid::from_bytes(entry.opening.0)))
        .bind(column(opens, |entry| bigint(entry.started_ms)))
        .bind(column(opens, |entry| entry.api.path()))
        .bind(column(opens, |entry| entry.stream))
        .bind(column(opens, |entry| text(&entry.owner.tenant)))
        .bind(column(opens, |entry| text(&entry.owner.user)))
        .bind(column(opens, |entry| entry.key_id.as_deref().map(text)))
        .bind(column(opens, |entry| text(&entry.model_asked)))
        .bind(column(opens, |entry| entry.trace_id.as_deref().map(text)))
        .bind(column(opens, |entry| entry.conversation_id.as_deref().map(text)))
        .bind(column(opens, |entry| amount(entry.reserved.requests)))
        .bind(column(opens, |entry| amount(entry.reserved.tokens)))
        .bind(column(opens, |entry| amount(entry.reserved.nano_usd)))
}

fn bind_settlements<'q>(query: WriteQuery<'q>, settlements: &'q [Settlement]) -> WriteQuery<'q> {
    fn column<'q, T>(settlements: &'q [Settlement], of: impl Fn(&'q Settlement) -> T) -> Vec<T> {
        settlements.iter().map(of).collect()
    }
    query
        .bind(column(settlements, |it| uuid(&it.request_id)))
        .bind(column(settlements, |it| Uuid::from_bytes(it.opening.0)))
        .bind(column(settlements, |it| it.outcome.as_str()))
        .bind(column(settlements, |it| it.provider.as_deref().map(text)))
        .bind(column(settlements, |it| it.model.as_deref().map(text)))
        .bind(column(settlements, |it| integer(it.attempts)))
        .bind(column(settlements, |it| amount(it.tokens.prompt)))
        .bind(column(settlements, |it| amount(it.tokens.completion)))
        .bind(column(settlements, |it| amount(it.tokens.cached)))
        .bind(column(settlements, |it| amount(it.tokens.cache_write)))
        .bind(column(settlements, |it| amount(it.tokens.reasoning)))
        .bind(column(settlements, |it| it.tokens.estimated))
        .bind(column(settlements, |it| it.cost_nano_usd.map(amount)))
        .bind(column(settlements, |it| amount(it.charged.requests)))
        .bind(column(settlements, |it| amount(it.charged.tokens)))
        .bind(column(settlements, |it| amount(it.charged.nano_usd)))
        .bind(column(settlements, |it| bigint(it.duration_us)))
        .bind(column(settlements, |it| it.first_content_us.map(bigint)))
        .bind(column(settlements, |it| it.error_code))
}
