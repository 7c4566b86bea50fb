//! The schema, and whether a database has it.

use sqlx::{
    Error,
    migrate::{Migrate as _, Migrator},
};

use super::database::Database;
use crate::store::schema::Schema;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Brings the schema up to date. Instances that begin at once wait for each other. Takes as long as it needs.
pub(crate) async fn migrate(database: &Database) -> Result<(), Error> {
    let mut connection = database.unbounded_connection().await?;
    MIGRATIONS.run(&mut connection).await?;
    Ok(())
}

/// Looks at the schema, and changes nothing.
pub(crate) async fn schema(database: &Database) -> Result<Schema, Error> {
    let mut connection = database.unbounded_connection().await?;
    let sql = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    let is_begun: bool = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    let applied = if is_begun { connection.list_applied_migrations("_sqlx_migrations").await? } else { Vec::new() };
    Ok(Schema::of(&MIGRATIONS, &applied))
}
