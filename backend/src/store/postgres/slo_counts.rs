//! Counts of objectives in PostgreSQL: instances add up.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Error, FromRow, Row as _, postgres::PgRow};

use super::{
    database::Database,
    values::{bigint, integer, number},
};
use crate::{
    monitoring::Statement,
    ports::{Run, SloCount, SloCounts, StoreError},
};

const INSERT: Statement = Statement::new("INSERT", "slo_counts");
const SELECT: Statement = Statement::new("SELECT", "slo_counts");
const DELETE: Statement = Statement::new("DELETE", "slo_counts");

/// Keeps them in a database that instances share.
pub(crate) struct PostgresSloCounts {
    database: Arc<Database>,
}

impl PostgresSloCounts {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SloCounts for PostgresSloCounts {
    async fn write(&self, run: Run, counts: &[SloCount]) -> Result<(), StoreError> {
        let minutes: Vec<i32> = counts.iter().map(|count| integer(count.minute)).collect();
        let slos: Vec<&str> = counts.iter().map(|count| count.slo.as_str()).collect();
        let good: Vec<i64> = counts.iter().map(|count| bigint(count.good)).collect();
        let valid: Vec<i64> = counts.iter().map(|count| bigint(count.valid)).collect();
        self.database
            .ask(INSERT, async {
                let mut connection = self.database.connection().await?;
                sqlx::query(
                    "INSERT INTO slo_counts (minute, slo, run, good, valid) \
                     SELECT m, s, $3, g, v FROM unnest($1::int[], $2::text[], $4::bigint[], $5::bigint[]) AS t (m, s, g, v) \
                     ON CONFLICT (minute, slo, run) DO UPDATE SET good = excluded.good, valid = excluded.valid",
                )
                .bind(&minutes)
                .bind(&slos)
                .bind(&run[..])
                .bind(&good)
                .bind(&valid)
                .execute(&mut *connection)
                .await?;
                connection.give_back();
                Ok(())
            })
            .await
    }

    async fn read(&self, except: Run, from_minute: u32) -> Result<Vec<SloCount>, StoreError> {
        let rows: Vec<CountRow> = self
            .database
            .ask(SELECT, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as(
                    "SELECT slo, minute, SUM(good)::bigint AS good, SUM(valid)::bigint AS valid FROM slo_counts \
                     WHERE minute >= $1 AND run <> $2 GROUP BY minute, slo",
                );
                let rows = query.bind(integer(from_minute)).bind(&except[..]).fetch_all(&mut *connection).await?;
                connection.give_back();
                Ok(rows)
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn forget(&self, before_minute: u32) -> Result<(), StoreError> {
        self.database
            .ask(DELETE, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query("DELETE FROM slo_counts WHERE minute < $1").bind(integer(before_minute));
                query.execute(&mut *connection).await?;
                connection.give_back();
                Ok(())
            })
            .await
    }
}

struct CountRow(SloCount);

impl FromRow<'_, PgRow> for CountRow {
    fn from_row(row: &PgRow) -> Result<Self, Error> {
        let minute: i32 = row.try_get("minute")?;
        Ok(Self(SloCount {
            slo: row.try_get("slo")?,
            minute: minute.unsigned_abs(),
            good: number(row.try_get("good")?),
            valid: number(row.try_get("valid")?),
        }))
    }
}
