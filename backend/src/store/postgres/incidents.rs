//! Incidents in PostgreSQL.

use sqlx::postgres::PgRow as DatabaseRow;

use super::database::{Checkout, Database};
use crate::store::incidents::incidents;

async fn connect(database: &Database) -> Result<Checkout, sqlx::Error> {
    database.connection().await
}

fn give_back(connection: Checkout) {
    connection.give_back();
}

incidents!(PostgresIncidents);
