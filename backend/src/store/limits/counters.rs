//! A reservation as the counters that it touches.

use std::ops::Range;

use super::window;
use crate::ports::{Amounts, Level, LimitState, NotReserved, Quota, Reservation, StoreError, Subject};

/// The most that one request counts for, a million dollars or as many tokens: sums of what is below it fit into 64 bits,
/// and those of a window into the 53 bits within which Redis' scripts are exact.
const MOST: u64 = 1_000_000_000_000_000;

/// The greatest limit: with one request more it still fits.
const GREATEST_LIMIT: u64 = 9_000_000_000_000_000_000;

/// What is counted beyond a window's end, for instances whose clocks are behind: milliseconds.
const GRACE_MS: u64 = 3_600_000;

/// One counter of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// Whose it is.
    pub(super) subject: Subject,
    pub(super) quota: Quota,
    pub(super) limit: u64,
    /// What is to be reserved.
    pub(super) amount: u64,
    pub(super) window: Range<u64>,
    /// For how long it must be kept from now on, in milliseconds.
    pub(super) keep_ms: u64,
}

/// The counters of all limits that are set, in the order of the claims.
pub(super) fn counters(reservation: &Reservation) -> Vec<Counter> {
    let mut counters = Vec::new();
    for (subject, limits) in &reservation.claims {
        for quota in Quota::ALL {
            let Some(limit) = limits.of(quota) else { continue };
            let window = window(quota, reservation.at_ms);
            counters.push(Counter {
                subject: subject.clone(),
                quota,
                limit: limit.min(GREATEST_LIMIT),
                amount: reservation.amounts.of(quota).min(MOST),
                keep_ms: window.end - reservation.at_ms + GRACE_MS,
                window,
            });
        }
    }
    counters
}

impl Counter {
    /// Its subject as one text, no two of which are alike.
    pub(super) fn subject_key(&self) -> String {
        match &self.subject {
            Subject::Key(id) => format!("k:{id}"),
            Subject::User(owner) => format!("u:{}:{}:{}", owner.tenant.len(), owner.tenant, owner.user),
            Subject::Tenant(tenant) => format!("t:{tenant}"),
        }
    }

    /// How it changes when a request used this in the place of what was reserved.
    pub(super) fn change(&self, used: Amounts) -> i64 {
        // Both are below `MOST`.
        used.of(self.quota).min(MOST).cast_signed() - self.amount.cast_signed()
    }

    /// How the limit stands with this much used.
    pub(super) fn state(&self, used: u64) -> LimitState {
        let level: Level = self.subject.level();
        LimitState { level, quota: self.quota, limit: self.limit, used, resets_ms: self.window.end }
    }
}

/// How limits stand after a reservation, `used` being what each counter has with it.
pub(super) fn reserved(counters: &[Counter], used: &[u64]) -> Vec<LimitState> {
    counters.iter().zip(used).map(|(counter, used)| counter.state(*used)).collect()
}

/// Which limit refused a reservation, `used` being what each counter has without it: of several the one that resets
/// last.
pub(super) fn over(counters: &[Counter], used: &[u64]) -> NotReserved {
    let states = counters.iter().zip(used).filter(|(counter, used)| **used + counter.amount > counter.limit);
    match states.map(|(counter, used)| counter.state(*used)).max_by_key(|state| state.resets_ms) {
        Some(state) => NotReserved::Over(state),
        None => NotReserved::Store(StoreError::Corrupt("a limit refused what does not pass it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{LimitSet, Owner},
        store::tests::bench::OPENING,
    };

    fn reservation() -> Reservation {
        let user = Subject::User(Owner { tenant: "a".to_owned(), user: "b:c".to_owned() });
        let spend = LimitSet { nano_usd_per_day: Some(10), nano_usd_per_month: Some(10), ..LimitSet::default() };
        let requests = LimitSet { requests_per_minute: Some(3), ..LimitSet::default() };
        Reservation {
            opening: OPENING,
            at_ms: 30_000,
            claims: vec![(Subject::Key("K".to_owned()), requests), (user, spend)],
            amounts: Amounts { requests: 1, tokens: 5, nano_usd: 7 },
        }
    }

    #[test]
    fn only_limits_that_are_set_are_counted() {
        let counters = counters(&reservation());
        let seen: Vec<_> = counters.iter().map(|it| (it.subject_key(), it.quota, it.amount, it.keep_ms)).collect();
        assert_eq!(
            seen,
            [
                ("k:K".to_owned(), Quota::Requests, 1, 30_000 + GRACE_MS),
                ("u:1:a:b:c".to_owned(), Quota::DailySpend, 7, 86_370_000 + GRACE_MS),
                ("u:1:a:b:c".to_owned(), Quota::MonthlySpend, 7, 31 * 86_400_000 - 30_000 + GRACE_MS),
            ]
        );
        assert_eq!(counters[1].change(Amounts { requests: 1, tokens: 9, nano_usd: 2 }), -5);
        assert_eq!(counters[1].change(Amounts { requests: 1, tokens: 9, nano_usd: u64::MAX }), 999_999_999_999_993);
    }

    #[test]
    fn of_several_limits_the_one_that_resets_last_is_named() {
        let counters = counters(&reservation());
        let NotReserved::Over(state) = over(&counters, &[3, 4, 4]) else { panic!("not over") };
        assert_eq!((state.quota, state.used, state.limit), (Quota::MonthlySpend, 4, 10));
        let NotReserved::Over(state) = over(&counters, &[3, 3, 3]) else { panic!("not over") };
        assert_eq!((state.level, state.quota), (Level::Key, Quota::Requests));
        assert!(matches!(over(&counters, &[2, 3, 3]), NotReserved::Store(_)));
    }
}
