//! Use, added up from the sums of days.

use sqlx::{Error, FromRow, Row as _, sqlite::SqliteRow};

use super::{
    database::Database,
    values::{number, sum},
};
use crate::ports::{TokenCounts, UsageBy, UsageQuery, UsageRow};

macro_rules! usage_by {
    ($name:literal) => {
        concat!(
            "SELECT ",
            $name,
            " AS name, \
             SUM(requests) FILTER (WHERE outcome = 'completed') AS completed, \
             SUM(requests) FILTER (WHERE outcome = 'failed') AS failed, \
             SUM(requests) FILTER (WHERE outcome = 'cancelled') AS cancelled, \
             SUM(requests) FILTER (WHERE outcome = 'interrupted') AS interrupted, ",
            sum!("prompt_tokens"),
            " AS prompt_tokens, ",
            sum!("completion_tokens"),
            " AS completion_tokens, ",
            sum!("cached_tokens"),
            " AS cached_tokens, ",
            sum!("cache_write_tokens"),
            " AS cache_write_tokens, ",
            sum!("reasoning_tokens"),
            " AS reasoning_tokens, SUM(estimated) AS estimated, ",
            sum!("cost_nano_usd"),
            " AS cost_nano_usd, SUM(cost_unknown) AS cost_unknown \
             FROM usage_daily WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR key_id = ?3) \
             AND (?4 IS NULL OR user_name = ?4) AND (?5 IS NULL OR tenant = ?5) GROUP BY 1 ORDER BY 1"
        )
    };
}

/// What a query asks for.
pub(super) async fn usage(database: &Database, asked: &UsageQuery) -> Result<Vec<UsageRow>, Error> {
    let sql = match asked.by {
        UsageBy::Key => usage_by!("key_id"),
        UsageBy::User => usage_by!("CASE WHEN tenant = '' THEN user_name ELSE tenant || '/' || user_name END"),
        UsageBy::Tenant => usage_by!("tenant"),
        UsageBy::Model => usage_by!("CASE WHEN provider = '' THEN '' ELSE provider || '/' || model END"),
        UsageBy::Day => usage_by!("date(day * 86400, 'unixepoch')"),
    };
    let rows: Vec<UsageColumns> = sqlx::query_as(sql)
        .bind(asked.from_day)
        .bind(asked.to_day)
        .bind(asked.key_id.as_deref())
        .bind(asked.user.as_deref())
        .bind(asked.tenant.as_deref())
        .fetch_all(database.pool())
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

struct UsageColumns(UsageRow);

impl FromRow<'_, SqliteRow> for UsageColumns {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        let sum = |column| number(row.try_get::<Option<i64>, _>(column)?.unwrap_or(0));
        Ok(Self(UsageRow {
            name: row.try_get("name")?,
            completed: sum("completed")?,
            failed: sum("failed")?,
            cancelled: sum("cancelled")?,
            interrupted: sum("interrupted")?,
            tokens: TokenCounts {
                prompt: sum("prompt_tokens")?,
                completion: sum("completion_tokens")?,
                cached: sum("cached_tokens")?,
                cache_write: sum("cache_write_tokens")?,
                reasoning: sum("reasoning_tokens")?,
                estimated: sum("estimated")? > 0,
            },
            cost_nano_usd: sum("cost_nano_usd")?,
            cost_unknown: sum("cost_unknown")?,
        }))
    }
}
