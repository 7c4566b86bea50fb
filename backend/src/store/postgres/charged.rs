//! What somebody was charged in a window: for counters that begin anew.

use sqlx::{Error, PgConnection};

use super::values::{bigint, number, text};
use crate::{
    ports::{Quota, Subject},
    store::limits::window,
};

/// From the rows of the ledger: a minute has few.
macro_rules! in_a_minute {
    ($amount:literal, $subject:literal) => {
        concat!(
            "SELECT LEAST(COALESCE(SUM(COALESCE(charged_",
            $amount,
            ", reserved_",
            $amount,
            ")), 0), \
             9223372036854775807)::bigint FROM ledger WHERE started_ms >= $1 AND started_ms < $2 AND ",
            $subject
        )
    };
}

/// From the sums of days and the rows that are open, in one statement, so that a row is always in one of the two.
macro_rules! in_days {
    ($subject:literal) => {
        concat!(
            "SELECT LEAST((SELECT COALESCE(SUM(charged_nano_usd), 0) FROM usage_daily \
             WHERE day >= $1 / 86400000 AND day < $2 / 86400000 AND ",
            $subject,
            ") \
             + (SELECT COALESCE(SUM(reserved_nano_usd), 0) FROM ledger WHERE outcome IS NULL \
             AND started_ms >= $1 AND started_ms < $2 AND ",
            $subject,
            "), 9223372036854775807)::bigint"
        )
    };
}

/// What was charged and is reserved.
pub(super) async fn charged(
    connection: &mut PgConnection,
    subject: &Subject,
    quota: Quota,
    at_ms: u64,
) -> Result<u64, Error> {
    let sql = match (quota, subject) {
        (Quota::Requests, Subject::Key(_)) => in_a_minute!("requests", "key_id = $3"),
        (Quota::Requests, Subject::User(_)) => in_a_minute!("requests", "user_name = $3 AND tenant = $4"),
        (Quota::Requests, Subject::Tenant(_)) => in_a_minute!("requests", "tenant = $3"),
        (Quota::Tokens, Subject::Key(_)) => in_a_minute!("tokens", "key_id = $3"),
        (Quota::Tokens, Subject::User(_)) => in_a_minute!("tokens", "user_name = $3 AND tenant = $4"),
        (Quota::Tokens, Subject::Tenant(_)) => in_a_minute!("tokens", "tenant = $3"),
        (Quota::DailySpend | Quota::MonthlySpend, Subject::Key(_)) => in_days!("key_id = $3"),
        (Quota::DailySpend | Quota::MonthlySpend, Subject::User(_)) => in_days!("user_name = $3 AND tenant = $4"),
        (Quota::DailySpend | Quota::MonthlySpend, Subject::Tenant(_)) => in_days!("tenant = $3"),
    };
    let window = window(quota, at_ms);
    let query = sqlx::query_scalar(sql).bind(bigint(window.start)).bind(bigint(window.end));
    let query = match subject {
        Subject::Key(name) | Subject::Tenant(name) => query.bind(text(name)),
        Subject::User(owner) => query.bind(text(&owner.user)).bind(text(&owner.tenant)),
    };
    query.fetch_one(connection).await.map(number)
}
