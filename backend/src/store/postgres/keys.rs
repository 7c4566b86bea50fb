//! API keys in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{FromRow, Row as _, postgres::PgRow};

use super::{
    database::Database,
    values::{bigint, number, text},
};
use crate::{
    monitoring::Statement,
    ports::{KeyRecord, Keys, LimitSet, Owner, Scopes, SecretHash, StoreError},
};

const SELECT_KEYS: Statement = Statement::new("SELECT", "keys");
const INSERT_KEYS: Statement = Statement::new("INSERT", "keys");
const UPDATE_KEYS: Statement = Statement::new("UPDATE", "keys");

/// Keys, in the table `keys`.
pub(crate) struct PostgresKeys {
    database: Arc<Database>,
}

impl PostgresKeys {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Keys for PostgresKeys {
    async fn find(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let row: Option<KeyRow> = self
            .database
            .ask(SELECT_KEYS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as("SELECT * FROM keys WHERE id = $1").bind(text(id));
                let row = query.fetch_optional(&mut *connection).await?;
                connection.give_back();
                Ok(row)
            })
            .await?;
        Ok(row.map(|row| row.0))
    }

    async fn insert(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let (previous_hash, previous_until) = key.previous.map(|(hash, until)| (hash.to_vec(), bigint(until))).unzip();
        self.database
            .ask(INSERT_KEYS, async {
                let mut connection = self.database.connection().await?;
                sqlx::query(
                    "INSERT INTO keys (id, secret_hash, previous_hash, previous_until_ms, name, tenant, user_name, \
                     scopes, requests_per_minute, tokens_per_minute, nano_usd_per_day, nano_usd_per_month, \
                     created_ms, expires_ms, revoked_ms) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                )
                .bind(text(&key.id))
                .bind(&key.secret_hash[..])
                .bind(previous_hash)
                .bind(previous_until)
                .bind(text(&key.name))
                .bind(text(&key.owner.tenant))
                .bind(text(&key.owner.user))
                .bind(key.scopes.to_string())
                .bind(key.limits.requests_per_minute.map(bigint))
                .bind(key.limits.tokens_per_minute.map(bigint))
                .bind(key.limits.nano_usd_per_day.map(bigint))
                .bind(key.limits.nano_usd_per_month.map(bigint))
                .bind(bigint(key.created_ms))
                .bind(key.expires_ms.map(bigint))
                .bind(key.revoked_ms.map(bigint))
                .execute(&mut *connection)
                .await?;
                connection.give_back();
                Ok(())
            })
            .await
    }

    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<KeyRecord>, StoreError> {
        let rows: Vec<KeyRow> = self
            .database
            .ask(SELECT_KEYS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query_as("SELECT * FROM keys WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2");
                let query = query.bind(after.map(text)).bind(i64::from(limit));
                let rows = query.fetch_all(&mut *connection).await?;
                connection.give_back();
                Ok(rows)
            })
            .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn rotate(&self, id: &str, secret_hash: &SecretHash, overlap_until_ms: u64) -> Result<bool, StoreError> {
        self.database
            .ask(UPDATE_KEYS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query(
                    "UPDATE keys SET previous_hash = secret_hash, previous_until_ms = $3, secret_hash = $2 \
                     WHERE id = $1 AND revoked_ms IS NULL",
                );
                let query = query.bind(text(id)).bind(&secret_hash[..]).bind(bigint(overlap_until_ms));
                let done = query.execute(&mut *connection).await?;
                connection.give_back();
                Ok(done.rows_affected() == 1)
            })
            .await
    }

    async fn revoke(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.database
            .ask(UPDATE_KEYS, async {
                let mut connection = self.database.connection().await?;
                let query = sqlx::query("UPDATE keys SET revoked_ms = COALESCE(revoked_ms, $2) WHERE id = $1");
                let done = query.bind(text(id)).bind(bigint(now_ms)).execute(&mut *connection).await?;
                connection.give_back();
                Ok(done.rows_affected() == 1)
            })
            .await
    }
}

struct KeyRow(KeyRecord);

impl FromRow<'_, PgRow> for KeyRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let numbered = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(number));
        let hash = |bytes: Vec<u8>| {
            SecretHash::try_from(bytes).map_err(|_| sqlx::Error::Decode("a hash of a secret is not of 32 bytes".into()))
        };
        let previous = match row.try_get::<Option<Vec<u8>>, _>("previous_hash")? {
            Some(bytes) => Some((hash(bytes)?, number(row.try_get("previous_until_ms")?))),
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
            created_ms: number(row.try_get("created_ms")?),
            expires_ms: numbered("expires_ms")?,
            revoked_ms: numbered("revoked_ms")?,
        }))
    }
}
