//! What both databases do in the same words, written down once. Where they differ the words are handed in.

/// When the ledger was added up to.
pub(in crate::store) const NEXT: &str = "SELECT next_slot FROM business_state";
pub(in crate::store) const FIRST: &str = "SELECT MIN(started_ms) FROM ledger";
pub(in crate::store) const OPEN: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM ledger WHERE outcome IS NULL AND started_ms < $1 LIMIT 1) AS open";
pub(in crate::store) const SETTLED: &str = "SELECT started_ms, tenant, user_name, conversation_id, \
     COALESCE(provider, '') AS provider, COALESCE(model, '') AS model, outcome, CAST(attempts AS BIGINT) AS attempts, \
     CAST(prompt_tokens AS BIGINT) AS prompt_tokens, CAST(completion_tokens AS BIGINT) AS completion_tokens, \
     CAST(cached_tokens AS BIGINT) AS cached_tokens, CAST(reasoning_tokens AS BIGINT) AS reasoning_tokens, \
     CAST(cost_nano_usd AS BIGINT) AS cost_nano_usd, CAST(duration_us AS BIGINT) AS duration_us, \
     CAST(first_content_us AS BIGINT) AS first_content_us \
     FROM ledger WHERE started_ms >= $1 AND started_ms < $2 AND outcome IS NOT NULL \
     ORDER BY started_ms, request_id";
pub(in crate::store) const BEGIN: &str =
    "INSERT INTO business_state (id, next_slot) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
pub(in crate::store) const GO_ON: &str = "UPDATE business_state SET next_slot = $1 WHERE next_slot = $2";
pub(in crate::store) const UNFOLDED: &str = "SELECT MIN(slot) FROM business WHERE slots = 1 AND slot < $1";
pub(in crate::store) const UNFOLD: &str = "DELETE FROM business WHERE slots = 1 AND slot >= $1 AND slot < $2";
pub(in crate::store) const GROUPS: &str =
    "SELECT provider, model, outcome, figures FROM business WHERE slot >= $1 AND slot < $2";
pub(in crate::store) const USERS: &str = "SELECT COUNT(*) FROM (SELECT tenant, user_name FROM active_users \
     WHERE day BETWEEN $1 AND $2 UNION SELECT tenant, user_name FROM ledger \
     WHERE started_ms >= $3 AND started_ms < $4 AND outcome IS NOT NULL AND user_name <> '') AS users";
pub(in crate::store) const USERS_BY_DAY: &str = "SELECT day, COUNT(*) FROM (SELECT day, tenant, user_name \
     FROM active_users WHERE day BETWEEN $1 AND $2 UNION SELECT started_ms / 86400000 AS day, tenant, user_name FROM ledger \
     WHERE started_ms >= $3 AND started_ms < $4 AND outcome IS NOT NULL AND user_name <> '') AS users \
     GROUP BY day ORDER BY day";
pub(in crate::store) const CONVERSATIONS: &str = "SELECT turns, \
     CASE WHEN last_ms < $3 AND (turns <= 1 OR completed = 0) THEN 1 ELSE 0 END AS abandoned, COUNT(*), \
     CAST(SUM(last_ms - first_ms) AS BIGINT) FROM conversation_activity WHERE first_ms >= $1 AND first_ms < $2 \
     GROUP BY 1, 2";

/// Implements [`super::Rows`] for a type with a field `database`. In scope must be `connect`, which gives a connection
/// out of it, `give_back`, which takes one back, and the words that differ: `ADD_GROUPS`, `ADD_USERS`,
/// `ADD_CONVERSATIONS` and `SOME_CONVERSATIONS`.
macro_rules! rows {
    ($name:ident) => {
        use std::collections::BTreeMap;

        use sqlx::{Connection as _, FromRow, Row as _};

        use crate::{
            monitoring::Statement,
            ports::{Figures, GroupKey, StoreError},
            store::rollups::{Activity, Alike, DAY_SLOTS, Rows, SettledRow, SlotSum, day_of_slot, rows, start_of_day},
        };

        const SELECT_BUSINESS: Statement = Statement::new("SELECT", "business");
        const INSERT_BUSINESS: Statement = Statement::new("INSERT", "business");
        const SELECT_LEDGER: Statement = Statement::new("SELECT", "ledger");
        const SELECT_USERS: Statement = Statement::new("SELECT", "active_users");
        const SELECT_CONVERSATIONS: Statement = Statement::new("SELECT", "conversation_activity");

        #[async_trait::async_trait]
        impl Rows for $name {
            async fn next_slot(&self) -> Result<Option<u32>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let next: Option<i64> = sqlx::query_scalar(rows::NEXT).fetch_optional(&mut *connection).await?;
                    give_back(connection);
                    Ok(next.map(small))
                };
                self.database.ask(SELECT_BUSINESS, asking).await
            }

            async fn first_started_ms(&self) -> Result<Option<u64>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let first: Option<i64> = sqlx::query_scalar(rows::FIRST).fetch_one(&mut *connection).await?;
                    give_back(connection);
                    Ok(first.map(i64::unsigned_abs))
                };
                self.database.ask(SELECT_LEDGER, asking).await
            }

            async fn is_open_before(&self, ms: u64) -> Result<bool, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_scalar(rows::OPEN).bind(big(ms));
                    let open: i64 = query.fetch_one(&mut *connection).await?;
                    give_back(connection);
                    Ok(open > 0)
                };
                self.database.ask(SELECT_LEDGER, asking).await
            }

            async fn settled(&self, from_ms: u64, to_ms: u64) -> Result<Vec<SettledRow>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_as(rows::SETTLED).bind(big(from_ms)).bind(big(to_ms));
                    let rows: Vec<Settled> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    Ok(rows.into_iter().map(|row| row.0).collect())
                };
                self.database.ask(SELECT_LEDGER, asking).await
            }

            async fn finish(&self, next: Option<u32>, slot: u32, sum: &SlotSum) -> Result<(), StoreError> {
                let (groups, users) = (groups_json(&sum.groups), serde_json::json!(sum.users).to_string());
                let conversations: Vec<_> = sum
                    .conversations
                    .iter()
                    .map(|one| {
                        serde_json::json!([one.id, one.first_ms, one.last_ms, one.turns, u8::from(one.completed)])
                    })
                    .collect();
                let conversations = serde_json::Value::from(conversations).to_string();
                let writing = async {
                    let mut connection = connect(&self.database).await?;
                    let mut transaction = connection.begin().await?;
                    let marked = match next {
                        None => sqlx::query(rows::BEGIN).bind(i64::from(slot + 1)),
                        Some(next) => sqlx::query(rows::GO_ON).bind(i64::from(slot + 1)).bind(i64::from(next)),
                    };
                    if marked.execute(&mut *transaction).await?.rows_affected() == 1 {
                        let query = sqlx::query(ADD_GROUPS).bind(i64::from(slot)).bind(1_i64).bind(groups);
                        query.execute(&mut *transaction).await?;
                        let day = i64::from(day_of_slot(slot));
                        sqlx::query(ADD_USERS).bind(day).bind(users).execute(&mut *transaction).await?;
                        sqlx::query(ADD_CONVERSATIONS).bind(conversations).execute(&mut *transaction).await?;
                    }
                    transaction.commit().await?;
                    give_back(connection);
                    Ok(())
                };
                self.database.ask(INSERT_BUSINESS, writing).await
            }

            async fn unfolded_before(&self, slot: u32) -> Result<Option<u32>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_scalar(rows::UNFOLDED).bind(i64::from(slot));
                    let first: Option<i64> = query.fetch_one(&mut *connection).await?;
                    give_back(connection);
                    Ok(first.map(small))
                };
                self.database.ask(SELECT_BUSINESS, asking).await
            }

            async fn fold(&self, day: u32, groups: &BTreeMap<GroupKey, Figures>) -> Result<(), StoreError> {
                let groups = groups_json(groups);
                let (from, to) = (i64::from(day * DAY_SLOTS), i64::from((day + 1) * DAY_SLOTS));
                let writing = async {
                    let mut connection = connect(&self.database).await?;
                    let mut transaction = connection.begin().await?;
                    let unfolded = sqlx::query(rows::UNFOLD).bind(from).bind(to).execute(&mut *transaction).await?;
                    // Otherwise somebody else has done it.
                    if unfolded.rows_affected() > 0 {
                        let query = sqlx::query(ADD_GROUPS).bind(from).bind(i64::from(DAY_SLOTS)).bind(groups);
                        query.execute(&mut *transaction).await?;
                    }
                    transaction.commit().await?;
                    give_back(connection);
                    Ok(())
                };
                self.database.ask(INSERT_BUSINESS, writing).await
            }

            async fn groups(&self, from_slot: u32, to_slot: u32) -> Result<Vec<(GroupKey, Figures)>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_as(rows::GROUPS).bind(i64::from(from_slot)).bind(i64::from(to_slot));
                    let rows: Vec<(String, String, String, String)> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    Ok(rows)
                };
                let rows = self.database.ask(SELECT_BUSINESS, asking).await?;
                let read = |(provider, model, outcome, figures): (String, String, String, String)| {
                    let figures =
                        serde_json::from_str(&figures).map_err(|_| StoreError::Corrupt("figures of the business"))?;
                    Ok((GroupKey { provider, model, outcome }, figures))
                };
                rows.into_iter().map(read).collect()
            }

            async fn users(&self, days: (u32, u32), since_ms: u64) -> Result<u64, StoreError> {
                let since = big(since_ms.max(start_of_day(days.0)));
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_scalar(rows::USERS).bind(i64::from(days.0)).bind(i64::from(days.1));
                    let query = query.bind(since).bind(big(start_of_day(days.1 + 1)));
                    let count: i64 = query.fetch_one(&mut *connection).await?;
                    give_back(connection);
                    Ok(count.unsigned_abs())
                };
                self.database.ask(SELECT_USERS, asking).await
            }

            async fn users_by_day(&self, days: (u32, u32), since_ms: u64) -> Result<Vec<(u32, u64)>, StoreError> {
                let since = big(since_ms.max(start_of_day(days.0)));
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_as(rows::USERS_BY_DAY).bind(i64::from(days.0)).bind(i64::from(days.1));
                    let query = query.bind(since).bind(big(start_of_day(days.1 + 1)));
                    let rows: Vec<(i64, i64)> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    Ok(rows.into_iter().map(|(day, count)| (small(day), count.unsigned_abs())).collect())
                };
                self.database.ask(SELECT_USERS, asking).await
            }

            async fn conversations(
                &self,
                from_ms: u64,
                to_ms: u64,
                abandoned_ms: u64,
            ) -> Result<Vec<Alike>, StoreError> {
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_as(rows::CONVERSATIONS).bind(big(from_ms)).bind(big(to_ms));
                    let query = query.bind(big(abandoned_ms));
                    let rows: Vec<(i64, Flag, i64, i64)> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    let alike = |(turns, abandoned, count, length): (i64, Flag, i64, i64)| Alike {
                        turns: turns.unsigned_abs(),
                        abandoned: abandoned > 0,
                        count: count.unsigned_abs(),
                        length_ms: length.unsigned_abs(),
                    };
                    Ok(rows.into_iter().map(alike).collect())
                };
                self.database.ask(SELECT_CONVERSATIONS, asking).await
            }

            async fn activities(&self, ids: &[String]) -> Result<Vec<Activity>, StoreError> {
                let ids = serde_json::json!(ids).to_string();
                let asking = async {
                    let mut connection = connect(&self.database).await?;
                    let query = sqlx::query_as(SOME_CONVERSATIONS).bind(ids);
                    let rows: Vec<(String, i64, i64, i64, i64)> = query.fetch_all(&mut *connection).await?;
                    give_back(connection);
                    let activity = |(id, first, last, turns, completed): (String, i64, i64, i64, i64)| Activity {
                        id,
                        first_ms: first.unsigned_abs(),
                        last_ms: last.unsigned_abs(),
                        turns: turns.unsigned_abs(),
                        completed: completed > 0,
                    };
                    Ok(rows.into_iter().map(activity).collect())
                };
                self.database.ask(SELECT_CONVERSATIONS, asking).await
            }
        }

        struct Settled(SettledRow);

        impl FromRow<'_, DatabaseRow> for Settled {
            fn from_row(row: &DatabaseRow) -> Result<Self, sqlx::Error> {
                let amount = |column| row.try_get::<Option<i64>, _>(column).map(|amount| amount.map(i64::unsigned_abs));
                Ok(Self(SettledRow {
                    started_ms: row.try_get::<i64, _>("started_ms")?.unsigned_abs(),
                    tenant: row.try_get("tenant")?,
                    user: row.try_get("user_name")?,
                    conversation_id: row.try_get("conversation_id")?,
                    key: GroupKey {
                        provider: row.try_get("provider")?,
                        model: row.try_get("model")?,
                        outcome: row.try_get("outcome")?,
                    },
                    attempts: amount("attempts")?.unwrap_or(0),
                    prompt_tokens: amount("prompt_tokens")?.unwrap_or(0),
                    completion_tokens: amount("completion_tokens")?.unwrap_or(0),
                    cached_tokens: amount("cached_tokens")?.unwrap_or(0),
                    reasoning_tokens: amount("reasoning_tokens")?.unwrap_or(0),
                    cost_nano_usd: amount("cost_nano_usd")?,
                    duration_us: amount("duration_us")?,
                    first_content_us: amount("first_content_us")?,
                }))
            }
        }

        /// `[[provider, model, outcome, figures], …]`, the figures as a text of their own.
        fn groups_json(groups: &BTreeMap<GroupKey, Figures>) -> String {
            let rows = groups.iter().map(|(key, figures)| {
                let figures = serde_json::json!(figures).to_string();
                serde_json::json!([key.provider, key.model, key.outcome, figures])
            });
            serde_json::Value::from(rows.collect::<Vec<_>>()).to_string()
        }

        fn big(number: u64) -> i64 {
            i64::try_from(number).unwrap_or(i64::MAX)
        }

        fn small(column: i64) -> u32 {
            u32::try_from(column).unwrap_or(0)
        }
    };
}
pub(in crate::store) use rows;
