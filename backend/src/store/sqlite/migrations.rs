//! The schema, and whether a database has it.

use sqlx::{
    Error,
    migrate::{Migrate as _, Migrator},
};

use super::database::Database;
use crate::store::schema::Schema;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Brings the schema up to date.
pub(crate) async fn migrate(database: &Database) -> Result<(), Error> {
    let mut connection = database.own_connection().await?;
    MIGRATIONS.run(&mut connection).await?;
    Ok(())
}

/// Looks at the schema, and changes nothing.
pub(crate) async fn schema(database: &Database) -> Result<Schema, Error> {
    let mut connection = database.own_connection().await?;
    let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    let begun: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    let applied = if begun > 0 { connection.list_applied_migrations("_sqlx_migrations").await? } else { Vec::new() };
    Ok(Schema::of(&MIGRATIONS, &applied))
}
