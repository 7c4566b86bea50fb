//! SQLite, in one file: what a single program needs, without a server.

mod batch;
mod business;
mod charged;
mod conversations;
mod database;
mod failure;
mod health;
mod incidents;
mod keys;
mod ledger;
mod lock;
mod migrations;
mod settle;
mod slo_counts;
#[cfg(test)]
mod tests;
mod usage;
mod values;

pub(crate) use self::{
    business::SqliteRows,
    conversations::SqliteConversations,
    database::Database,
    failure::store_error,
    health::SqliteHealth,
    incidents::SqliteIncidents,
    keys::SqliteKeys,
    ledger::SqliteLedger,
    lock::{FileLock, NotLocked},
    migrations::{migrate, schema},
    slo_counts::SqliteSloCounts,
};
