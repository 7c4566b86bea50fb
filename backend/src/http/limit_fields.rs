//! How a caller's limits stand, as every answer to him tells it: the fields `RateLimit` and `RateLimit-Policy` of
//! draft-ietf-httpapi-ratelimit-headers-10, one policy for each limit.

use std::fmt::Write as _;

use goblin_shared::headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
use http::{HeaderMap, HeaderValue};

use crate::ports::{LimitState, Quota, day, usd};

/// The largest whole number of a structured field (RFC 9651, section 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

const DAY_MS: u64 = 86_400_000;

/// Both fields. Money is told in millionths of a dollar, rounded to the caller's disadvantage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitFields {
    limit: Option<HeaderValue>,
    policy: Option<HeaderValue>,
}

/// About as long as a limit is in a field, in bytes.
const LIMIT_BYTES: usize = 64;

impl LimitFields {
    /// How limits stand at a time, in milliseconds since 1970.
    pub(super) fn new(states: &[LimitState], at_ms: u64) -> Self {
        if states.is_empty() {
            return Self::default();
        }
        let [mut limits, mut policies] = [(); 2].map(|()| String::with_capacity(states.len() * LIMIT_BYTES));
        for LimitState { level, quota, limit, used, resets_ms } in states {
            let name = match quota {
                Quota::Requests => "requests",
                Quota::Tokens => "tokens",
                Quota::DailySpend => "usd-per-day",
                Quota::MonthlySpend => "usd-per-month",
            };
            let (separator, level) = (if limits.is_empty() { "" } else { ", " }, level.as_str());
            let unit = if quota.is_spend() { 1_000 } else { 1 };
            let remaining = (limit.saturating_sub(*used) / unit).min(LARGEST);
            let (all, window) = ((limit / unit).min(LARGEST), window_seconds(*quota, *resets_ms));
            let resets = resets_ms.saturating_sub(at_ms).div_ceil(1_000);
            let counted = match quota {
                Quota::Requests => "",
                Quota::Tokens => ";qu=\"tokens\"",
                Quota::DailySpend | Quota::MonthlySpend => ";qu=\"micro-usd\"",
            };
            // Writing to a text cannot fail.
            let _ = write!(limits, "{separator}\"{level}-{name}\";r={remaining};t={resets}");
            let _ = write!(policies, "{separator}\"{level}-{name}\";q={all}{counted};w={window}");
        }
        Self { limit: HeaderValue::try_from(limits).ok(), policy: HeaderValue::try_from(policies).ok() }
    }

    /// Adds them, where there are any.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in [(RATE_LIMIT, &self.limit), (RATE_LIMIT_POLICY, &self.policy)] {
            if let Some(value) = value {
                headers.append(name, value.clone());
            }
        }
    }
}

/// What a caller is told who is over a limit, such as
/// `key limit requests_per_minute: 60 of 60 used; resets at 2026-11-25T02:37:00Z`.
pub(super) fn over(state: &LimitState, wanted: u64) -> String {
    let LimitState { level, quota, limit, used, resets_ms } = state;
    let amount = |count: u64| if quota.is_spend() { usd::written(count) } else { count.to_string() };
    let (level, quota_name, resets) = (level.as_str(), quota.as_str(), rfc3339(*resets_ms));
    let (used, limit) = (amount(*used), amount(*limit));
    let mut told = format!("{level} limit {quota_name}: {used} of {limit} used; resets at {resets}");
    if *quota != Quota::Requests {
        let _ = write!(told, "; this request may use {}", amount(wanted));
    }
    told
}

/// How long the window is that ends then.
fn window_seconds(quota: Quota, resets_ms: u64) -> u64 {
    let days = match quota {
        Quota::Requests | Quota::Tokens => return 60,
        Quota::DailySpend => 1,
        Quota::MonthlySpend => {
            // A month has as many days as the number of its last.
            let last = day::written(day::of_millis(resets_ms.saturating_sub(1)));
            last.rsplit('-').next().and_then(|day| day.parse().ok()).unwrap_or(31)
        }
    };
    days * DAY_MS / 1_000
}

/// A time as RFC 3339 has it, to the second.
fn rfc3339(unix_millis: u64) -> String {
    let seconds = unix_millis % DAY_MS / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}Z", day::written(day::of_millis(unix_millis)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Level;

    /// 2026-11-25T02:36:10Z.
    const NOW: u64 = 1_795_574_170_000;
    /// 2026-11-25T02:37:00Z.
    const NEXT_MINUTE: u64 = 1_795_574_220_000;
    /// 2026-12-01T00:00:00Z.
    const NEXT_MONTH: u64 = 1_796_083_200_000;

    fn requests() -> LimitState {
        LimitState { level: Level::Key, quota: Quota::Requests, limit: 60, used: 60, resets_ms: NEXT_MINUTE }
    }

    fn month() -> LimitState {
        LimitState {
            level: Level::Tenant,
            quota: Quota::MonthlySpend,
            limit: 12_500_000_000,
            used: 1_000_001,
            resets_ms: NEXT_MONTH,
        }
    }

    #[test]
    fn fields_are_the_drafts() {
        let tokens = LimitState { level: Level::User, quota: Quota::Tokens, limit: 900, used: 1_000, ..requests() };
        let LimitFields { limit, policy } = LimitFields::new(&[requests(), tokens, month()], NOW);
        let expected =
            "\"key-requests\";r=0;t=50, \"user-tokens\";r=0;t=50, \"tenant-usd-per-month\";r=12498999;t=509030";
        assert_eq!(limit.unwrap(), expected);
        let expected = "\"key-requests\";q=60;w=60, \"user-tokens\";q=900;qu=\"tokens\";w=60, \
             \"tenant-usd-per-month\";q=12500000;qu=\"micro-usd\";w=2592000";
        assert_eq!(policy.unwrap(), expected);
        let mut headers = HeaderMap::new();
        LimitFields::new(&[], NOW).add_to(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn who_is_over_a_limit_is_told_which_and_until_when() {
        assert_eq!(
            over(&requests(), 1),
            "key limit requests_per_minute: 60 of 60 used; resets at 2026-11-25T02:37:00Z"
        );
        assert_eq!(
            over(&month(), 20_000_000_000),
            "tenant limit usd_per_month: 0.001000001 of 12.50 used; resets at 2026-12-01T00:00:00Z; this request may use 20.00"
        );
    }
}
