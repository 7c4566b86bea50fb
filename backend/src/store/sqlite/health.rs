//! Whether SQLite answers.

use std::sync::Arc;

use async_trait::async_trait;

use super::database::Database;
use crate::{
    monitoring::Statement,
    ports::{Health, StoreError},
};

const SELECT_KEYS: Statement = Statement::new("SELECT", "keys");

/// Asks for a row of a table of ours.
pub(crate) struct SqliteHealth {
    database: Arc<Database>,
}

impl SqliteHealth {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Health for SqliteHealth {
    async fn check(&self) -> Result<(), StoreError> {
        let query = sqlx::query("SELECT 1 FROM keys LIMIT 1").fetch_optional(self.database.pool());
        self.database.ask(SELECT_KEYS, query).await.map(drop)
    }
}
