//! Counts of objectives in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Error, FromRow, Row as _, sqlite::SqliteRow};

use super::{
    database::Database,
    values::{integer, number},
};
use crate::{
    monitoring::Statement,
    ports::{Run, SloCount, SloCounts, StoreError},
};

const INSERT: Statement = Statement::new("INSERT", "slo_counts");
const SELECT: Statement = Statement::new("SELECT", "slo_counts");
const DELETE: Statement = Statement::new("DELETE", "slo_counts");

/// Keeps them in a file.
pub(crate) struct SqliteSloCounts {
    database: Arc<Database>,
}

impl SqliteSloCounts {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SloCounts for SqliteSloCounts {
    async fn write(&self, run: Run, counts: &[SloCount]) -> Result<(), StoreError> {
        let writing = async {
            let mut transaction = self.database.pool().begin().await?;
            for count in counts {
                let query = sqlx::query(
                    "INSERT INTO slo_counts (minute, slo, run, good, valid) VALUES (?, ?, ?, ?, ?) \
                     ON CONFLICT (minute, slo, run) DO UPDATE SET good = excluded.good, valid = excluded.valid",
                );
                let query = query.bind(count.minute).bind(&count.slo).bind(&run[..]);
                query.bind(integer(count.good)).bind(integer(count.valid)).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        self.database.ask(INSERT, writing).await
    }

    async fn read(&self, except: Run, from_minute: u32) -> Result<Vec<SloCount>, StoreError> {
        let query = sqlx::query_as(
            "SELECT slo, minute, SUM(good) AS good, SUM(valid) AS valid FROM slo_counts \
             WHERE minute >= ? AND run <> ? GROUP BY minute, slo",
        );
        let query = query.bind(from_minute).bind(except.to_vec());
        let rows: Vec<CountRow> = self.database.ask(SELECT, query.fetch_all(self.database.pool())).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn forget(&self, before_minute: u32) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM slo_counts WHERE minute < ?").bind(before_minute);
        self.database.ask(DELETE, query.execute(self.database.pool())).await.map(drop)
    }
}

struct CountRow(SloCount);

impl FromRow<'_, SqliteRow> for CountRow {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        Ok(Self(SloCount {
            slo: row.try_get("slo")?,
            minute: row.try_get("minute")?,
            good: number(row.try_get("good")?)?,
            valid: number(row.try_get("valid")?)?,
        }))
    }
}
