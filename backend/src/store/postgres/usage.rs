//! Use, added up from the sums of days.

use sqlx::{Error, FromRow, PgConnection, Row as _, postgres::PgRow};

use super::values::{number, text};
use crate::ports::{TokenCounts, UsageBy, UsageQuery, UsageRow};

macro_rules! usage_by {
    ($name:literal) => {
        concat!(
            "SELECT (",
            $name,
            ") COLLATE \"C\" AS name, ",
            "SUM(requests) FILTER (WHERE outcome = 'completed')::bigint AS completed, \
             SUM(requests) FILTER (WHERE outcome = 'failed')::bigint AS failed, \
             SUM(requests) FILTER (WHERE outcome = 'cancelled')::bigint AS cancelled, \
             SUM(requests) FILTER (WHERE outcome = 'interrupted')::bigint AS interrupted, \
             SUM(prompt_tokens)::bigint AS prompt_tokens, SUM(completion_tokens)::bigint AS completion_tokens, \
             SUM(cached_tokens)::bigint AS cached_tokens, SUM(cache_write_tokens)::bigint AS cache_write_tokens, \
             SUM(reasoning_tokens)::bigint AS reasoning_tokens, SUM(estimated)::bigint AS estimated, \
             SUM(cost_nano_usd)::bigint AS cost_nano_usd, SUM(cost_unknown)::bigint AS cost_unknown \
             FROM usage_daily WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR key_id = $3) \
             AND ($4::text IS NULL OR user_name = $4) AND ($5::text IS NULL OR tenant = $5) \
             GROUP BY 1 ORDER BY 1"
        )
    };
}

/// What a query asks for.
pub(super) async fn usage(connection: &mut PgConnection, asked: &UsageQuery) -> Result<Vec<UsageRow>, Error> {
    let sql = match asked.by {
        UsageBy::Key => usage_by!("key_id"),
        UsageBy::User => usage_by!("CASE WHEN tenant = '' THEN user_name ELSE tenant || '/' || user_name END"),
        UsageBy::Tenant => usage_by!("tenant"),
        UsageBy::Model => usage_by!("CASE WHEN provider = '' THEN '' ELSE provider || '/' || model END"),
        UsageBy::Day => usage_by!("to_char(DATE '1970-01-01' + day, 'YYYY-MM-DD')"),
    };
    let rows: Vec<UsageColumns> = sqlx::query_as(sql)
        .bind(day(asked.from_day))
        .bind(day(asked.to_day))
        .bind(asked.key_id.as_deref().map(text))
        .bind(asked.user.as_deref().map(text))
        .bind(asked.tenant.as_deref().map(text))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

fn day(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

struct UsageColumns(UsageRow);

impl FromRow<'_, PgRow> for UsageColumns {
    fn from_row(row: &PgRow) -> Result<Self, Error> {
        let sum = |column| Ok::<_, Error>(row.try_get::<Option<i64>, _>(column)?.map_or(0, number));
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
