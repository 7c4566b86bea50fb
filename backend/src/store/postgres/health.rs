//! Whether PostgreSQL answers.

use std::sync::Arc;

use async_trait::async_trait;

use super::database::Database;
use crate::{
    monitoring::Statement,
    ports::{Health, StoreError},
};

const SELECT_INSTANCES: Statement = Statement::new("SELECT", "instances");

/// Asks for a row that is there in every database of ours.
pub(crate) struct PostgresHealth {
    database: Arc<Database>,
}

impl PostgresHealth {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Health for PostgresHealth {
    async fn check(&self) -> Result<(), StoreError> {
        self.database
            .ask(SELECT_INSTANCES, async {
                let mut connection = self.database.connection().await?;
                // Of a table, so that a schema or rights that were taken away are noticed too.
                sqlx::query("SELECT 1 FROM instances LIMIT 1").fetch_optional(&mut *connection).await?;
                connection.give_back();
                Ok(())
            })
            .await
    }
}
