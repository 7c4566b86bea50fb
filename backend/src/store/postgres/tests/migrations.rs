//! The schema and its versions.

use super::bench::{PATIENCE, ask, connect, empty, entry};
use crate::ports::{Health as _, Keys as _, Ledger as _};
use crate::store::{
    Purpose, Schema,
    postgres::{
        PostgresNotOpened, PostgresStores,
        migrations::{migrate, schema},
    },
};

#[tokio::test]
async fn instances_that_begin_at_once_migrate_once() {
    let Some(url) = empty("instances_that_begin_at_once_migrate_once").await else { return };
    let database = connect(&url, PATIENCE);
    assert_eq!(schema(&database).await.unwrap(), Schema::Old);
    for done in futures_util::future::join_all([migrate(&database), migrate(&database), migrate(&database)]).await {
        done.unwrap();
    }
    assert_eq!(schema(&database).await.unwrap(), Schema::Current);
    assert_eq!(ask(&database, "SELECT COUNT(*) FROM ledger").await, 0);
    let mut connection = database.unbounded_connection().await.unwrap();
    sqlx::raw_sql("DELETE FROM _sqlx_migrations WHERE version = 2").execute(&mut connection).await.unwrap();
    assert_eq!(schema(&database).await.unwrap(), Schema::Old);
    let opened = PostgresStores::open(&url, 2, PATIENCE, false, Purpose::Serve, None).await;
    assert!(matches!(opened, Err(PostgresNotOpened::Old)));
    sqlx::raw_sql("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(schema(&database).await.unwrap(), Schema::Newer);
    let opened = PostgresStores::open(&url, 2, PATIENCE, true, Purpose::Serve, None).await;
    assert!(matches!(opened, Err(PostgresNotOpened::Newer)));
}

#[tokio::test]
async fn a_store_is_opened_with_what_it_lacks() {
    let Some(url) = empty("a_store_is_opened_with_what_it_lacks").await else { return };
    let opened = PostgresStores::open(&url, 2, PATIENCE, false, Purpose::Serve, None).await;
    assert!(matches!(opened, Err(PostgresNotOpened::Old)));
    let stores = PostgresStores::open(&url, 2, PATIENCE, true, Purpose::Serve, None).await.unwrap();
    stores.health.check().await.unwrap();
    stores.ledger.open(entry()).await.unwrap();
    assert_eq!(stores.keys.list(None, 9).await.unwrap(), []);
    let Err(error) = PostgresStores::open("postgres://u:secret@[", 2, PATIENCE, true, Purpose::Serve, None).await
    else {
        panic!("opened")
    };
    assert!(matches!(error, PostgresNotOpened::InvalidUrl) && !format!("{error:?} {error}").contains("secret"));
}
