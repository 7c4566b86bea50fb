//! Conversations in SQLite. Turns are added where their requests are settled: [`super::batch`].

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{
    Error, FromRow, Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    database::Database,
    values::{integer, number, request_id, small},
};
use crate::{
    monitoring::Statement,
    ports::{Conversation, Conversations, Owner, PageCursor, StoreError, Turn},
};

const SELECT_TURNS: Statement = Statement::new("SELECT", "turns");
const DELETE_CONVERSATIONS: Statement = Statement::new("DELETE", "conversations");
const INSERT_CONVERSATIONS: Statement = Statement::new("INSERT", "conversations");
const SELECT_CONVERSATIONS: Statement = Statement::new("SELECT", "conversations");
const UPDATE_CONVERSATIONS: Statement = Statement::new("UPDATE", "conversations");

/// Conversations, in the tables `conversations` and `turns`.
pub(crate) struct SqliteConversations {
    database: Arc<Database>,
}

impl SqliteConversations {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Turns by a statement whose parameters are the owner's two, id, number and limit.
    async fn turns_by(
        &self,
        sql: &'static str,
        owner: &Owner,
        id: &str,
        number: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError> {
        let query = sqlx::query_as(sql).bind(&owner.tenant).bind(&owner.user).bind(id).bind(number).bind(limit);
        let rows: Vec<TurnRow> = self.database.ask(SELECT_TURNS, query.fetch_all(self.database.pool())).await?;
        // A conversation without such turns is one row without a turn, so that one question answers both.
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(rows.into_iter().filter_map(|row| row.0).collect()))
    }

    /// Runs a deletion, and takes what it deleted out of the write-ahead log too; how many rows there were. Where somebody
    /// reads for longer than is waited for here, that is done as soon as he has ended.
    async fn delete_by(&self, query: Query<'static, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        let database = self.database.clone();
        // By itself: who asked may leave in the midst of it.
        let deletion = tokio::spawn(async move {
            let rows = database.ask(DELETE_CONVERSATIONS, query.execute(database.pool())).await?.rows_affected();
            if rows > 0 {
                database.forget().await;
            }
            Ok(rows)
        });
        deletion.await.unwrap_or_else(|gone| Err(StoreError::Unavailable(gone.into())))
    }
}

#[async_trait]
impl Conversations for SqliteConversations {
    async fn create(&self, owner: &Owner, conversation: &Conversation) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO conversations (id, tenant, user_name, title, instructions, created_ms, updated_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&conversation.id)
        .bind(&owner.tenant)
        .bind(&owner.user)
        .bind(conversation.title.as_deref())
        .bind(conversation.instructions.as_deref())
        .bind(integer(conversation.created_ms))
        .bind(integer(conversation.updated_ms));
        self.database.ask(INSERT_CONVERSATIONS, query.execute(self.database.pool())).await.map(drop)
    }

    async fn get(&self, owner: &Owner, id: &str) -> Result<Option<Conversation>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM conversations WHERE tenant = ? AND user_name = ? AND id = ?");
        let query = query.bind(&owner.tenant).bind(&owner.user).bind(id);
        let row: Option<ConversationRow> =
            self.database.ask(SELECT_CONVERSATIONS, query.fetch_optional(self.database.pool())).await?;
        Ok(row.map(|row| row.0))
    }

    async fn list(
        &self,
        owner: &Owner,
        after: Option<&PageCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        let query = sqlx::query_as(
            "SELECT * FROM conversations WHERE tenant = ?1 AND user_name = ?2 \
             AND (?3 IS NULL OR (updated_ms, id) < (?3, ?4)) ORDER BY updated_ms DESC, id DESC LIMIT ?5",
        );
        let query = query.bind(&owner.tenant).bind(&owner.user).bind(after.map(|after| integer(after.updated_ms)));
        let query = query.bind(after.map(|after| after.id.as_str())).bind(limit);
        let rows: Vec<ConversationRow> =
            self.database.ask(SELECT_CONVERSATIONS, query.fetch_all(self.database.pool())).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn turns(&self, owner: &Owner, id: &str, after: u32, limit: u32) -> Result<Option<Vec<Turn>>, StoreError> {
        let sql = "SELECT t.* FROM conversations c LEFT JOIN turns t ON t.conversation_id = c.id AND t.number > ?4 \
                   WHERE c.tenant = ?1 AND c.user_name = ?2 AND c.id = ?3 ORDER BY t.number LIMIT ?5";
        self.turns_by(sql, owner, id, after, limit).await
    }

    async fn turns_before(
        &self,
        owner: &Owner,
        id: &str,
        before: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError> {
        let sql = "SELECT t.* FROM conversations c LEFT JOIN turns t ON t.conversation_id = c.id AND t.number < ?4 \
                   WHERE c.tenant = ?1 AND c.user_name = ?2 AND c.id = ?3 ORDER BY t.number DESC LIMIT ?5";
        self.turns_by(sql, owner, id, before, limit).await
    }

    async fn rename(
        &self,
        owner: &Owner,
        id: &str,
        title: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Conversation>, StoreError> {
        let query = sqlx::query_as(
            "UPDATE conversations SET title = ?4, updated_ms = ?5 WHERE tenant = ?1 AND user_name = ?2 AND id = ?3 \
             RETURNING *",
        );
        let query = query.bind(&owner.tenant).bind(&owner.user).bind(id).bind(title).bind(integer(now_ms));
        let row: Option<ConversationRow> =
            self.database.ask(UPDATE_CONVERSATIONS, query.fetch_optional(self.database.pool())).await?;
        Ok(row.map(|row| row.0))
    }

    async fn delete(&self, owner: &Owner, id: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM conversations WHERE tenant = ? AND user_name = ? AND id = ?");
        let query = query.bind(owner.tenant.clone()).bind(owner.user.clone()).bind(id.to_owned());
        Ok(self.delete_by(query).await? == 1)
    }

    async fn expire(&self, before_ms: u64, limit: u32) -> Result<u32, StoreError> {
        let query = sqlx::query(
            "DELETE FROM conversations WHERE id IN \
             (SELECT id FROM conversations WHERE updated_ms < ? ORDER BY updated_ms LIMIT ?)",
        );
        let query = query.bind(integer(before_ms)).bind(limit);
        let expired = self.delete_by(query).await?;
        Ok(u32::try_from(expired).unwrap_or(u32::MAX))
    }
}

struct ConversationRow(Conversation);

impl FromRow<'_, SqliteRow> for ConversationRow {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        Ok(Self(Conversation {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            instructions: row.try_get("instructions")?,
            created_ms: number(row.try_get("created_ms")?)?,
            updated_ms: number(row.try_get("updated_ms")?)?,
            turns: small(row.try_get("turns")?)?,
            prompt_tokens: number(row.try_get("prompt_tokens")?)?,
            completion_tokens: number(row.try_get("completion_tokens")?)?,
        }))
    }
}

/// A turn; none where a conversation has none of those asked for.
struct TurnRow(Option<Turn>);

impl FromRow<'_, SqliteRow> for TurnRow {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        let Some(request) = row.try_get::<Option<Vec<u8>>, _>("request_id")? else { return Ok(Self(None)) };
        Ok(Self(Some(Turn {
            number: small(row.try_get("number")?)?,
            request_id: request_id(&request)?,
            at_ms: number(row.try_get("at_ms")?)?,
            model: row.try_get("model")?,
            messages: row.try_get("messages")?,
            prompt_tokens: number(row.try_get("prompt_tokens")?)?,
            completion_tokens: number(row.try_get("completion_tokens")?)?,
        })))
    }
}
