//! Limits under test, and shorthand for what is asked of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::ports::{Amounts, LimitSet, LimitState, Limits, NotReserved, OpeningId, Owner, Quota, Reservation, Subject};

/// A Tuesday in 2023, at the beginning of a minute, in the midst of a month.
pub(super) const NOW: u64 = 1_700_000_040_000;

/// Far beyond what anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two ways to the same counters: those of two instances where they are counted on a server.
pub(crate) struct Bench {
    pub(crate) limits: [Arc<dyn Limits>; 2],
}

/// The id of a try; each has another.
pub(super) fn opening() -> OpeningId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    OpeningId(u128::from(COUNT.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
}

pub(super) fn key(id: &str) -> Subject {
    Subject::Key(id.to_owned())
}

pub(super) fn user(tenant: &str, user: &str) -> Subject {
    Subject::User(Owner { tenant: tenant.to_owned(), user: user.to_owned() })
}

pub(super) fn tenant(name: &str) -> Subject {
    Subject::Tenant(name.to_owned())
}

pub(super) fn limit(quota: Quota, limit: u64) -> LimitSet {
    let only = |this| (quota == this).then_some(limit);
    LimitSet {
        requests_per_minute: only(Quota::Requests),
        tokens_per_minute: only(Quota::Tokens),
        nano_usd_per_day: only(Quota::DailySpend),
        nano_usd_per_month: only(Quota::MonthlySpend),
    }
}

/// One request of so many tokens for as many billionths of a dollar.
pub(super) fn amounts(tokens: u64) -> Amounts {
    Amounts { requests: 1, tokens, nano_usd: tokens }
}

pub(super) fn reservation(claims: &[(Subject, LimitSet)], tokens: u64) -> Reservation {
    Reservation { opening: opening(), at_ms: NOW, claims: claims.to_vec(), amounts: amounts(tokens) }
}

/// The one limit that refused it.
pub(super) fn refused(outcome: Result<Vec<LimitState>, NotReserved>) -> LimitState {
    match outcome {
        Err(NotReserved::Over(state)) => state,
        other => panic!("it was to be refused: {other:?}"),
    }
}

/// The same limits, where nobody reaches them.
fn raised(limits: &LimitSet) -> LimitSet {
    let raise = |limit: Option<u64>| limit.map(|_| u64::MAX);
    LimitSet {
        requests_per_minute: raise(limits.requests_per_minute),
        tokens_per_minute: raise(limits.tokens_per_minute),
        nano_usd_per_day: raise(limits.nano_usd_per_day),
        nano_usd_per_month: raise(limits.nano_usd_per_month),
    }
}

impl Bench {
    /// What is used, asked of both instances: a reservation of nothing tells, when its limits are out of reach.
    pub(super) async fn used(&self, claims: &[(Subject, LimitSet)], at_ms: u64) -> Vec<u64> {
        let claims: Vec<_> = claims.iter().map(|(subject, limits)| (subject.clone(), raised(limits))).collect();
        let mut seen = Vec::new();
        for limits in &self.limits {
            let nothing =
                Reservation { opening: opening(), at_ms, claims: claims.clone(), amounts: Amounts::default() };
            let states = limits.reserve(&nothing).await.unwrap();
            limits.settle(&nothing, Amounts::default());
            seen.push(states.iter().map(|state| state.used).collect::<Vec<_>>());
        }
        assert_eq!(seen[0], seen[1], "the instances do not agree");
        seen.remove(0)
    }

    /// Waits until all settlements are in the counters.
    pub(super) async fn settled(&self) {
        for limits in &self.limits {
            assert_eq!(limits.flush(PATIENCE).await, 0, "settlements are left");
        }
    }
}
