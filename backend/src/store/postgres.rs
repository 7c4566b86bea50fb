//! PostgreSQL, which several instances share.

mod batch;
mod business;
mod charged;
mod conversations;
mod database;
mod failure;
mod health;
mod incidents;
mod keys;
mod lease;
mod ledger;
mod migrations;
mod open;
mod rollup;
mod slo_counts;
mod turns;
mod usage;
mod values;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::migrations::migrate;
pub(crate) use self::{
    business::PostgresRows,
    conversations::PostgresConversations,
    database::Database,
    health::PostgresHealth,
    incidents::PostgresIncidents,
    keys::PostgresKeys,
    ledger::PostgresLedger,
    open::{PostgresNotOpened, PostgresStores},
    slo_counts::PostgresSloCounts,
    values::{bigint, number, text},
};
