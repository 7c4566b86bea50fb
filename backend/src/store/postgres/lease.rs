//! Which instances live, so that the open rows of those that died are interrupted by the others.
//!
//! An instance renews its lease, by the database's clock, four times within its length. One whose lease ran out is dead
//! to the others. Nobody could renew while the database was gone, so nobody judges others before it has held its own
//! lease without a gap for as long as one is.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use sqlx::{Error, PgConnection, types::Uuid};

use super::{database::Database, rollup::add_up};
use crate::{monitoring::Statement, ports::StoreError};

const INSERT_INSTANCES: Statement = Statement::new("INSERT", "instances");
const UPDATE_LEDGER: Statement = Statement::new("UPDATE", "ledger");

/// How long an instance may be silent.
pub(crate) const LEASE: Duration = Duration::from_secs(20);

/// Rows that are interrupted by one statement, so that none takes long.
const AT_ONCE: i64 = 1_000;

/// Interrupts open rows of dead instances. Rows that somebody settles at this moment are left to him.
const INTERRUPT: &str = concat!(
    "WITH dead AS (SELECT l.request_id FROM ledger l LEFT JOIN instances i ON i.id = l.instance \
     WHERE l.outcome IS NULL AND l.instance <> $1 AND (i.id IS NULL OR i.lease_until < clock_timestamp()) \
     LIMIT $2 FOR UPDATE OF l SKIP LOCKED), \
     settled AS (UPDATE ledger l SET outcome = 'interrupted', attempts = 0, prompt_tokens = 0, completion_tokens = 0, \
     cached_tokens = 0, cache_write_tokens = 0, reasoning_tokens = 0, tokens_estimated = false, \
     charged_requests = reserved_requests, charged_tokens = reserved_tokens, charged_nano_usd = reserved_nano_usd \
     FROM dead d WHERE l.request_id = d.request_id AND l.outcome IS NULL RETURNING l.*), ",
    add_up!(),
    " SELECT COUNT(*) FROM settled"
);

/// The lease of this process.
pub(crate) struct Lease {
    instance: Uuid,
    length: Duration,
    held: Mutex<Option<Held>>,
}

#[derive(Clone, Copy)]
struct Held {
    since: Instant,
    renewed: Instant,
}

impl Lease {
    /// One that is not held yet, of an instance that has never been.
    pub(crate) fn new(length: Duration) -> Self {
        let mut id = [0; 16];
        getrandom::fill(&mut id).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
        Self { instance: Uuid::from_bytes(id), length, held: Mutex::default() }
    }

    /// Whose it is.
    pub(crate) fn instance(&self) -> Uuid {
        self.instance
    }

    /// Renews it unless that was done just now.
    pub(crate) async fn ensure(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let fresh = self.held().is_some_and(|held| held.renewed.elapsed() < self.length / 2);
        if fresh { Ok(()) } else { self.renew(connection).await }
    }

    async fn renew(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let now = Instant::now();
        sqlx::query(
            "INSERT INTO instances (id, lease_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2)) \
             ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until",
        )
        .bind(self.instance)
        .bind(self.length.as_secs_f64())
        .execute(connection)
        .await?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Never less than was held by another renewal that overtook this one.
        let before = held.filter(|held| now.saturating_duration_since(held.renewed) < self.length);
        let (since, renewed) = before.map_or((now, now), |before| (before.since, before.renewed.max(now)));
        *held = Some(Held { since, renewed });
        Ok(())
    }

    fn held(&self) -> Option<Held> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has been held for long enough to tell the dead from those who could not renew either.
    fn may_judge(&self) -> bool {
        self.held().is_some_and(|held| held.since.elapsed() >= self.length && held.renewed.elapsed() < self.length / 2)
    }
}

/// Renews the lease and interrupts the rows of the dead, for as long as anybody else holds the lease.
pub(crate) async fn keep(lease: Weak<Lease>, database: Arc<Database>) {
    loop {
        let Some(lease) = lease.upgrade() else { return };
        let pause = lease.length / 4;
        match look(&lease, &database).await {
            Ok(0) => {}
            Ok(rows) => tracing::warn!(rows, "requests of an instance that died were interrupted"),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be renewed"),
        }
        drop(lease);
        tokio::time::sleep(pause).await;
    }
}

/// Renews the lease, and gives up soon enough for another try within its length: whoever waits for a server to come back
/// looks less and less often, and would see it later than those who then judge.
async fn renew_in_time(lease: &Lease, database: &Database) -> Result<(), StoreError> {
    let renewing = database.ask(INSERT_INSTANCES, async {
        let mut connection = database.connection().await?;
        lease.renew(&mut connection).await?;
        connection.give_back();
        Ok(())
    });
    match tokio::time::timeout(lease.length / 4, renewing).await {
        Ok(renewed) => renewed,
        Err(late) => Err(StoreError::Unavailable(late.into())),
    }
}

/// One round; how many rows were interrupted.
async fn look(lease: &Lease, database: &Database) -> Result<u64, StoreError> {
    renew_in_time(lease, database).await?;
    let mut interrupted = 0;
    while lease.may_judge() {
        let rows: i64 = database
            .ask(UPDATE_LEDGER, async {
                let mut connection = database.connection().await?;
                let query = sqlx::query_scalar(INTERRUPT).bind(lease.instance).bind(AT_ONCE);
                let rows = query.fetch_one(&mut *connection).await?;
                if rows == 0 {
                    sqlx::query(
                        "DELETE FROM instances i WHERE lease_until < clock_timestamp() - interval '1 day' \
                         AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.instance = i.id AND l.outcome IS NULL)",
                    )
                    .execute(&mut *connection)
                    .await?;
                }
                connection.give_back();
                Ok(rows)
            })
            .await?;
        interrupted += rows.unsigned_abs();
        if rows < AT_ONCE {
            break;
        }
    }
    Ok(interrupted)
}
