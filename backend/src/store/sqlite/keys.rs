//! API keys in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Error, FromRow, Row as _, sqlite::SqliteRow};

use super::{
    database::Database,
    values::{integer, number},
};
use crate::{
    monitoring::Statement,
    ports::{KeyRecord, Keys, LimitSet, Owner, Scopes, SecretHash, StoreError},
};

const SELECT_KEYS: Statement = Statement::new("SELECT", "keys");
const INSERT_KEYS: Statement = Statement::new("INSERT", "keys");
const UPDATE_KEYS: Statement = Statement::new("UPDATE", "keys");

/// Keys, in the table `keys`.
pub(crate) struct SqliteKeys {
    database: Arc<Database>,
}

impl SqliteKeys {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Keys for SqliteKeys {
    async fn find(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM keys WHERE id = ?").bind(id);
        let row: Option<KeyRow> = self.database.ask(SELECT_KEYS, query.fetch_optional(self.database.pool())).await?;
        Ok(row.map(|row| row.0))
    }

    async fn insert(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let (previous_hash, previous_until) = key.previous.map(|(hash, until)| (hash.to_vec(), integer(until))).unzip();
        let query = sqlx::query(
            "INSERT INTO keys (id, secret_hash, previous_hash, previous_until_ms, name, tenant, user_name, scopes, \
             requests_per_minute, tokens_per_minute, nano_usd_per_day, nano_usd_per_month, created_ms, expires_ms, \
             revoked_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key.id)
        .bind(&key.secret_hash[..])
        .bind(previous_hash)
        .bind(previous_until)
        .bind(&key.name)
        .bind(&key.owner.tenant)
        .bind(&key.owner.user)
        .bind(key.scopes.to_string())
        .bind(key.limits.requests_per_minute.map(integer))
        .bind(key.limits.tokens_per_minute.map(integer))
        .bind(key.limits.nano_usd_per_day.map(integer))
        .bind(key.limits.nano_usd_per_month.map(integer))
        .bind(integer(key.created_ms))
        .bind(key.expires_ms.map(integer))
        .bind(key.revoked_ms.map(integer));
        self.database.ask(INSERT_KEYS, query.execute(self.database.pool())).await.map(drop)
    }

    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<KeyRecord>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM keys WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2");
        let query = query.bind(after).bind(limit);
        let rows: Vec<KeyRow> = self.database.ask(SELECT_KEYS, query.fetch_all(self.database.pool())).await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn rotate(&self, id: &str, secret_hash: &SecretHash, overlap_until_ms: u64) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE keys SET previous_hash = secret_hash, previous_until_ms = ?3, secret_hash = ?2 \
             WHERE id = ?1 AND revoked_ms IS NULL",
        );
        let query = query.bind(id).bind(&secret_hash[..]).bind(integer(overlap_until_ms));
        let done = self.database.ask(UPDATE_KEYS, query.execute(self.database.pool())).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn revoke(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        let query = sqlx::query("UPDATE keys SET revoked_ms = COALESCE(revoked_ms, ?2) WHERE id = ?1");
        let query = query.bind(id).bind(integer(now_ms));
        let done = self.database.ask(UPDATE_KEYS, query.execute(self.database.pool())).await?;
        Ok(done.rows_affected() == 1)
    }
}

struct KeyRow(KeyRecord);

impl FromRow<'_, SqliteRow> for KeyRow {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        let numbered = |column| row.try_get::<Option<i64>, _>(column)?.map(number).transpose();
        let hash = |bytes: Vec<u8>| {
            SecretHash::try_from(bytes).map_err(|_| Error::Decode("a hash of a secret is not of 32 bytes".into()))
        };
        let previous = match row.try_get::<Option<Vec<u8>>, _>("previous_hash")? {
            Some(bytes) => Some((hash(bytes)?, number(row.try_get("previous_until_ms")?)?)),
            None => None,
        };
        let scopes: String = row.try_get("scopes")?;
        Ok(Self(KeyRecord {
            id: row.try_get("id")?,
            secret_hash: hash(row.try_get("secret_hash")?)?,
            previous,
            name: row.try_get("name")?,
            owner: Owner { tenant: row.try_get("tenant")?, user: row.try_get("user_name")? },
            // A scope that this version does not know gives no right.
            scopes: Scopes::known_of(&scopes),
            limits: LimitSet {
                requests_per_minute: numbered("requests_per_minute")?,
                tokens_per_minute: numbered("tokens_per_minute")?,
                nano_usd_per_day: numbered("nano_usd_per_day")?,
                nano_usd_per_month: numbered("nano_usd_per_month")?,
            },
            created_ms: number(row.try_get("created_ms")?)?,
            expires_ms: numbered("expires_ms")?,
            revoked_ms: numbered("revoked_ms")?,
        }))
    }
}
