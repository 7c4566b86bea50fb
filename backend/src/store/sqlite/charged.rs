//! What somebody was charged in a window: for counters that begin anew.

use sqlx::Error;

use super::{
    database::Database,
    values::{integer, number, sum},
};
use crate::{
    ports::{Quota, Subject},
    store::limits::window,
};

/// From the rows of the ledger: a minute has few.
macro_rules! in_a_minute {
    ($amount:literal, $subject:literal) => {
        concat!(
            "SELECT ",
            sum!("COALESCE(charged_", $amount, ", reserved_", $amount, ")"),
            " FROM ledger \
             WHERE started_ms >= ?1 AND started_ms < ?2 AND ",
            $subject
        )
    };
}

/// From the sums of days and the rows that are open, in one statement, so that a row is always in one of the two.
macro_rules! in_days {
    ($subject:literal) => {
        concat!(
            // Together not beyond 2^62 either.
            "SELECT MIN(4611686018427387904, (SELECT ",
            sum!("charged_nano_usd"),
            " FROM usage_daily \
             WHERE day >= ?1 / 86400000 AND day < ?2 / 86400000 AND ",
            $subject,
            ") + (SELECT ",
            sum!("reserved_nano_usd"),
            " FROM ledger WHERE outcome IS NULL \
             AND started_ms >= ?1 AND started_ms < ?2 AND ",
            $subject,
            "))"
        )
    };
}

/// What was charged and is reserved.
pub(super) async fn charged(database: &Database, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, Error> {
    let sql = match (quota, subject) {
        (Quota::Requests, Subject::Key(_)) => in_a_minute!("requests", "key_id = ?3"),
        (Quota::Requests, Subject::User(_)) => in_a_minute!("requests", "user_name = ?3 AND tenant = ?4"),
        (Quota::Requests, Subject::Tenant(_)) => in_a_minute!("requests", "tenant = ?3"),
        (Quota::Tokens, Subject::Key(_)) => in_a_minute!("tokens", "key_id = ?3"),
        (Quota::Tokens, Subject::User(_)) => in_a_minute!("tokens", "user_name = ?3 AND tenant = ?4"),
        (Quota::Tokens, Subject::Tenant(_)) => in_a_minute!("tokens", "tenant = ?3"),
        (Quota::DailySpend | Quota::MonthlySpend, Subject::Key(_)) => in_days!("key_id = ?3"),
        (Quota::DailySpend | Quota::MonthlySpend, Subject::User(_)) => in_days!("user_name = ?3 AND tenant = ?4"),
        // By days, not by the index of owners: that has all days of a tenant, user by user.
        (Quota::DailySpend | Quota::MonthlySpend, Subject::Tenant(_)) => in_days!("+tenant = ?3"),
    };
    let window = window(quota, at_ms);
    let query = sqlx::query_scalar(sql).bind(integer(window.start)).bind(integer(window.end));
    let query = match subject {
        Subject::Key(name) | Subject::Tenant(name) => query.bind(name),
        Subject::User(owner) => query.bind(&owner.user).bind(&owner.tenant),
    };
    query.fetch_one(database.pool()).await.and_then(number)
}
