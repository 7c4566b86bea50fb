//! Conversations in PostgreSQL. Turns are added where their requests are settled: [`super::turns`].

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Uuid};

use super::{
    database::Database,
    values::{bigint, number, request_id, text},
};
use crate::{
    monitoring::Statement,
    ports::{Conversation, Conversations, Owner, PageCursor, StoreError, Turn},
};

const SELECT_TURNS: Statement = Statement::new("SELECT", "turns");
const INSERT_CONVERSATIONS: Statement = Statement::new("INSERT", "conversations");
const SELECT_CONVERSATIONS: Statement = Statement::new("SELECT", "conversations");
const UPDATE_CONVERSATIONS: Statement = Statement::new("UPDATE", "conversations");
const DELETE_CONVERSATIONS: Statement = Statement::new("DELETE", "conversations");

/// Conversations, in the tables `conversations` and `turns`.
///
/// What is deleted is gone from every query and dump at once. From the server's files it goes as the server reuses their
/// space, as with every PostgreSQL: that is up to its operator (`VACUUM`, how long WAL and back-ups are kept).
pub(crate) struct PostgresConversations {
    database: Arc<Database>,
}

impl PostgresConversations {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Turns by a statement of three parameters besides the owner's: id, number, limit.
    async fn turns_by(
        &self,
        sql: &'static str,
        owner: &Owner,
        id: &str,
        number: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError> {
        let rows: Vec<TurnRow> = self
            .database
            .ask(SELECT_TURNS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as(sql).bind(text(&owner.tenant)).bind(text(&owner.user)).bind(text(id));
                let query = query.bind(i64::from(number)).bind(i64::from(limit));
                let rows = query.fetch_all(&mut *connection).await?;
                connection.give_back();
                Ok(rows)
            })
            .await?;
        // A conversation without such turns is one row without a turn, so that one question answers both.
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(rows.into_iter().filter_map(|row| row.0).collect()))
    }
}

#[async_trait]
impl Conversations for PostgresConversations {
    async fn create(&self, owner: &Owner, conversation: &Conversation) -> Result<(), StoreError> {
        self.database
            .ask(INSERT_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                sqlx::query(
                    "INSERT INTO conversations (id, tenant, user_name, title, instructions, created_ms, updated_ms) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(text(&conversation.id))
                .bind(text(&owner.tenant))
                .bind(text(&owner.user))
                .bind(conversation.title.as_deref().map(text))
                .bind(conversation.instructions.as_deref().map(text))
                .bind(bigint(conversation.created_ms))
                .bind(bigint(conversation.updated_ms))
                .execute(&mut *connection)
                .await?;
                connection.give_back();
                Ok(())
            })
            .await
    }

    async fn get(&self, owner: &Owner, id: &str) -> Result<Option<Conversation>, StoreError> {
        let row: Option<ConversationRow> = self
            .database
            .ask(SELECT_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                let query =
                    sqlx::query_as("SELECT * FROM conversations WHERE tenant = $1 AND user_name = $2 AND id = $3");
                let query = query.bind(text(&owner.tenant)).bind(text(&owner.user)).bind(text(id));
                let row = query.fetch_optional(&mut *connection).await?;
                connection.give_back();
                Ok(row)
            })
            .await?;
        Ok(row.map(|row| row.0))
    }

    async fn list(
        &self,
        owner: &Owner,
        after: Option<&PageCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        let rows: Vec<ConversationRow> = self
            .database
            .ask(SELECT_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as(
                    "SELECT * FROM conversations WHERE tenant = $1 AND user_name = $2 \
                     AND ($3::bigint IS NULL OR (updated_ms, id) < ($3, $4)) \
                     ORDER BY updated_ms DESC, id DESC LIMIT $5",
                );
                let query = query.bind(text(&owner.tenant)).bind(text(&owner.user));
                let query = query.bind(after.map(|after| bigint(after.updated_ms)));
                let query = query.bind(after.map(|after| text(&after.id))).bind(i64::from(limit));
                let rows = query.fetch_all(&mut *connection).await?;
                connection.give_back();
                Ok(rows)
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn turns(&self, owner: &Owner, id: &str, after: u32, limit: u32) -> Result<Option<Vec<Turn>>, StoreError> {
        let sql = "SELECT t.* FROM conversations c LEFT JOIN LATERAL \
                   (SELECT * FROM turns WHERE conversation_id = c.id AND number > $4 ORDER BY number LIMIT $5) t ON true \
                   WHERE c.tenant = $1 AND c.user_name = $2 AND c.id = $3 ORDER BY t.number";
        self.turns_by(sql, owner, id, after, limit).await
    }

    async fn turns_before(
        &self,
        owner: &Owner,
        id: &str,
        before: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError> {
        let sql = "SELECT t.* FROM conversations c LEFT JOIN LATERAL \
                   (SELECT * FROM turns WHERE conversation_id = c.id AND number < $4 ORDER BY number DESC LIMIT $5) t \
                   ON true WHERE c.tenant = $1 AND c.user_name = $2 AND c.id = $3 ORDER BY t.number DESC";
        self.turns_by(sql, owner, id, before, limit).await
    }

    async fn rename(
        &self,
        owner: &Owner,
        id: &str,
        title: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Conversation>, StoreError> {
        let row: Option<ConversationRow> = self
            .database
            .ask(UPDATE_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as(
                    "UPDATE conversations SET title = $4, updated_ms = $5 \
                     WHERE tenant = $1 AND user_name = $2 AND id = $3 RETURNING *",
                );
                let query = query.bind(text(&owner.tenant)).bind(text(&owner.user)).bind(text(id));
                let query = query.bind(title.map(text)).bind(bigint(now_ms));
                let row = query.fetch_optional(&mut *connection).await?;
                connection.give_back();
                Ok(row)
            })
            .await?;
        Ok(row.map(|row| row.0))
    }

    async fn delete(&self, owner: &Owner, id: &str) -> Result<bool, StoreError> {
        self.database
            .ask(DELETE_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query("DELETE FROM conversations WHERE tenant = $1 AND user_name = $2 AND id = $3");
                let query = query.bind(text(&owner.tenant)).bind(text(&owner.user)).bind(text(id));
                let done = query.execute(&mut *connection).await?;
                connection.give_back();
                Ok(done.rows_affected() == 1)
            })
            .await
    }

    async fn expire(&self, before_ms: u64, limit: u32) -> Result<u32, StoreError> {
        self.database
            .ask(DELETE_CONVERSATIONS, async {
                let mut connection = self.database.connection().await?;
                // Those that somebody works on stay until the next time.
                let query = sqlx::query(
                    "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations WHERE updated_ms < $1 \
                     ORDER BY updated_ms LIMIT $2 FOR UPDATE SKIP LOCKED)",
                );
                let query = query.bind(bigint(before_ms)).bind(i64::from(limit));
                let done = query.execute(&mut *connection).await?;
                connection.give_back();
                Ok(u32::try_from(done.rows_affected()).unwrap_or(u32::MAX))
            })
            .await
    }
}

struct ConversationRow(Conversation);

impl FromRow<'_, PgRow> for ConversationRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self(Conversation {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            instructions: row.try_get("instructions")?,
            created_ms: number(row.try_get("created_ms")?),
            updated_ms: number(row.try_get("updated_ms")?),
            turns: u32::try_from(row.try_get::<i32, _>("turns")?).unwrap_or(0),
            prompt_tokens: number(row.try_get("prompt_tokens")?),
            completion_tokens: number(row.try_get("completion_tokens")?),
        }))
    }
}

/// A turn; none where a conversation has none of those asked for.
struct TurnRow(Option<Turn>);

impl FromRow<'_, PgRow> for TurnRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Some(request) = row.try_get::<Option<Uuid>, _>("request_id")? else { return Ok(Self(None)) };
        Ok(Self(Some(Turn {
            number: u32::try_from(row.try_get::<i32, _>("number")?).unwrap_or(0),
            request_id: request_id(request)?,
            at_ms: number(row.try_get("at_ms")?),
            model: row.try_get("model")?,
            messages: row.try_get("messages")?,
            prompt_tokens: number(row.try_get("prompt_tokens")?),
            completion_tokens: number(row.try_get("completion_tokens")?),
        })))
    }
}
