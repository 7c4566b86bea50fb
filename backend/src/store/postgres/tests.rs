//! What holds of every store, and what only PostgreSQL does, on a real one.

mod bench;
mod lease;
mod ledger;
mod migrations;
mod outage;
mod text;

crate::store::tests::store_contract!(bench::kept);
