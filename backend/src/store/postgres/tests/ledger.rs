//! Batches as PostgreSQL writes them.

use std::sync::Arc;

use super::bench::{ask, database, entry, settlement};
use crate::{
    ports::{LedgerOutcome, Settlement},
    store::{
        postgres::{
            batch::PostgresBatch,
            lease::{LEASE, Lease},
        },
        writer::{Batch as _, Opened},
    },
};

#[tokio::test]
async fn a_batch_may_hold_the_same_request_twice() {
    let Some(database) = database("a_batch_may_hold_the_same_request_twice").await else { return };
    let mut batch = PostgresBatch::new(database.clone(), Arc::new(Lease::new(LEASE)));
    let (twice, once) = (entry(), entry());
    let opened = batch.write(&[twice.clone(), once.clone(), twice.clone()], &[]).await.unwrap();
    assert!(matches!(opened[..], [Opened::New, Opened::New, Opened::Claimed]), "{opened:?}");
    let failed = Settlement { outcome: LedgerOutcome::Failed, ..settlement(twice.request_id) };
    let unknown = settlement(entry().request_id);
    let fresh = entry();
    let settlements = [settlement(twice.request_id), failed, settlement(once.request_id), unknown];
    let opened = batch.write(&[fresh, once], &settlements).await.unwrap();
    assert!(matches!(opened[..], [Opened::New, Opened::Claimed]), "{opened:?}");
    let sql = "SELECT SUM(requests)::bigint FROM usage_daily WHERE outcome = 'completed' AND charged_tokens = 6";
    assert_eq!(ask(&database, sql).await, 2);
    assert_eq!(ask(&database, "SELECT COUNT(*) FROM usage_daily").await, 1);
    assert_eq!(ask(&database, "SELECT COUNT(*) FROM ledger WHERE outcome IS NULL").await, 1);
}
