//! Limits that are counted in PostgreSQL, exactly across instances. A round trip and a write to its log per reservation:
//! where many share one limit, Redis counts faster.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::types::Uuid;

use super::{
    counters::{Counter, counters, over, reserved},
    settling::{Pending, Settle, Settling},
};
use crate::{
    monitoring::Statement,
    ports::{Amounts, Ledger, LimitState, Limits, NotReserved, Reservation, StoreError},
    store::postgres::{Database, bigint, number, text},
};

const SELECT_LIMIT_COUNTERS: Statement = Statement::new("SELECT", "limit_counters");
const UPDATE_LIMIT_COUNTERS: Statement = Statement::new("UPDATE", "limit_counters");
const DELETE_LIMIT_COUNTERS: Statement = Statement::new("DELETE", "limit_counters");

/// For how long a reservation that nobody settles is known, beyond the longest request: after that its counters keep
/// what was reserved, as its row in the ledger does.
const RESERVATION_MS: i64 = 3_600_000;

/// For how long it is known that it was settled, so that a reservation that arrives late is refused.
const SETTLED_MS: i64 = 600_000;

/// As many old rows are deleted by one statement, so that none takes long.
const TIDIED_AT_ONCE: u64 = 10_000;

/// Counts in the tables `limit_counters` and `limit_reservations`.
pub(crate) struct PostgresLimits {
    server: Arc<Server>,
    settling: Settling,
    ledger: Arc<dyn Ledger>,
}

struct Server {
    database: Arc<Database>,
}

impl PostgresLimits {
    /// Counts in this database, and begins counters with what the ledger says. Must be called inside a tokio runtime.
    pub(crate) fn new(database: Arc<Database>, ledger: Arc<dyn Ledger>) -> Self {
        let server = Arc::new(Server { database });
        Self { settling: Settling::start(server.clone()), server, ledger }
    }

    async fn seeds(
        &self,
        counters: &[Counter],
        known: &[Option<u64>],
        at_ms: u64,
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let mut seeds = Vec::with_capacity(counters.len());
        for (counter, known) in counters.iter().zip(known) {
            seeds.push(match known {
                Some(_) => None,
                None => Some(self.ledger.charged(&counter.subject, counter.quota, at_ms).await?),
            });
        }
        Ok(seeds)
    }
}

#[async_trait]
impl Limits for PostgresLimits {
    async fn reserve(&self, reservation: &Reservation) -> Result<Vec<LimitState>, NotReserved> {
        let counters = counters(reservation);
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        let mut seeds = vec![None; counters.len()];
        // A counter may be forgotten between the question for its seed and the second try, not again and again.
        for _ in 0..3 {
            let pending = Pending::new(&self.settling, reservation);
            let (verdict, used) = self.server.reserve(reservation, &counters, &seeds).await?;
            pending.known();
            let all: Vec<u64> = used.iter().map(|used| used.unwrap_or(0)).collect();
            match verdict.as_str() {
                "reserved" => return Ok(reserved(&counters, &all)),
                "over" => return Err(over(&counters, &all)),
                "unseeded" => seeds = self.seeds(&counters, &used, reservation.at_ms).await?,
                "released" => {
                    return Err(
                        StoreError::Unavailable("the reservation was released before it was made".into()).into()
                    );
                }
                _ => return Err(StoreError::Corrupt("an unknown verdict on a reservation").into()),
            }
        }
        Err(StoreError::Unavailable("counters vanish as they are made".into()).into())
    }

    fn settle(&self, reservation: &Reservation, used: Amounts) {
        self.settling.settle(reservation, used);
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.settling.flush(bound).await
    }
}

/// Columns that say which counters are meant.
fn subjects(counters: &[Counter]) -> (Vec<String>, Vec<&'static str>, Vec<i64>) {
    let subjects = counters.iter().map(|counter| text(&counter.subject_key()).into_owned());
    let quotas = counters.iter().map(|counter| counter.quota.as_str());
    (subjects.collect(), quotas.collect(), counters.iter().map(|counter| bigint(counter.window.start)).collect())
}

fn column(counters: &[Counter], of: impl Fn(&Counter) -> u64) -> Vec<i64> {
    counters.iter().map(|counter| bigint(of(counter))).collect()
}

impl Server {
    async fn reserve(
        &self,
        reservation: &Reservation,
        counters: &[Counter],
        seeds: &[Option<u64>],
    ) -> Result<(String, Vec<Option<u64>>), StoreError> {
        let (subjects, quotas, windows) = subjects(counters);
        let (verdict, used): (String, Vec<Option<i64>>) = self
            .database
            .ask(SELECT_LIMIT_COUNTERS, async {
                let mut connection = self.database.connection().await?;
                let query =
                    sqlx::query_as("SELECT verdict, used FROM limits_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9)")
                        .bind(Uuid::from_bytes(reservation.opening.0))
                        .bind(subjects)
                        .bind(quotas)
                        .bind(windows)
                        .bind(column(counters, |counter| counter.amount))
                        .bind(column(counters, |counter| counter.limit))
                        .bind(seeds.iter().map(|seed| seed.map(bigint)).collect::<Vec<_>>())
                        .bind(column(counters, |counter| counter.keep_ms))
                        .bind(RESERVATION_MS);
                let row = query.fetch_one(&mut *connection).await?;
                connection.give_back();
                Ok(row)
            })
            .await?;
        Ok((verdict, used.into_iter().map(|used| used.map(number)).collect()))
    }
}

#[async_trait]
impl Settle for Server {
    async fn settle_now(&self, reservation: &Reservation, used: Amounts) -> Result<(), StoreError> {
        let counters = counters(reservation);
        let (subjects, quotas, windows) = subjects(&counters);
        let changes: Vec<i64> = counters.iter().map(|counter| counter.change(used)).collect();
        self.database
            .ask(UPDATE_LIMIT_COUNTERS, async {
                let mut connection = self.database.connection().await?;
                sqlx::query("SELECT limits_settle($1, $2, $3, $4, $5, $6)")
                    .bind(Uuid::from_bytes(reservation.opening.0))
                    .bind(subjects)
                    .bind(quotas)
                    .bind(windows)
                    .bind(changes)
                    .bind(SETTLED_MS)
                    .execute(&mut *connection)
                    .await?;
                connection.give_back();
                Ok(())
            })
            .await
    }

    async fn tidy_up(&self) -> Result<(), StoreError> {
        // Rows that somebody works on stay until the next time.
        for sql in [
            "DELETE FROM limit_counters WHERE ctid IN (SELECT ctid FROM limit_counters \
             WHERE forget_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED)",
            "DELETE FROM limit_reservations WHERE ctid IN (SELECT ctid FROM limit_reservations \
             WHERE forget_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED)",
        ] {
            while self.delete(sql).await? >= TIDIED_AT_ONCE {}
        }
        Ok(())
    }
}

impl Server {
    /// How many rows one statement deleted.
    async fn delete(&self, sql: &'static str) -> Result<u64, StoreError> {
        self.database
            .ask(DELETE_LIMIT_COUNTERS, async {
                let mut connection = self.database.connection().await?;
                let done = sqlx::query(sql).execute(&mut *connection).await?;
                connection.give_back();
                Ok(done.rows_affected())
            })
            .await
    }
}
