//! Limits that are counted in this process: exact, as long as it is the only one.
//!
//! A window is there from its first reservation on, and begins with what the ledger says that was charged in it: requests
//! of an earlier run of the program, or those from before it was forgotten. A window with open reservations is never
//! forgotten, so that what the ledger says and what is counted never meet.

mod windows;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tokio::sync::OnceCell;

use self::windows::{Place, Windows};
use crate::ports::{
    Amounts, Ledger, LimitState, Limits, NotReserved, OpeningId, Quota, Reservation, StoreError, Subject,
};

/// Counts in memory.
pub(crate) struct ProcessLimits {
    /// What windows begin with; `None`: with nothing.
    ledger: Option<Arc<dyn Ledger>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: Windows,
    /// Windows whose beginning is being asked for, once for all who wait for it.
    beginnings: HashMap<(Subject, Place), Arc<OnceCell<u64>>>,
    /// The reservations that are not settled yet.
    open: HashSet<OpeningId>,
}

/// A window that is not there yet.
struct Missing {
    subject: Subject,
    place: Place,
    beginning: Arc<OnceCell<u64>>,
}

impl ProcessLimits {
    /// Counts on from what `ledger` says; without one from nothing.
    pub(crate) fn new(ledger: Option<Arc<dyn Ledger>>) -> Self {
        Self { ledger, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics in there between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a window, unless somebody else has done it. The future may be dropped: the next one who waits asks then.
    async fn begin(&self, missing: Missing, at_ms: u64) -> Result<(), StoreError> {
        let Missing { subject, place, beginning } = missing;
        let ask = async || match &self.ledger {
            Some(ledger) => ledger.charged(&subject, place.quota, at_ms).await,
            None => Ok(0),
        };
        let charged = *beginning.get_or_try_init(ask).await?;
        let mut state = self.state();
        let key = (subject, place);
        // What was asked for before the window was made, and perhaps forgotten again, counts no more.
        let is_current = state.beginnings.get(&key).is_some_and(|current| Arc::ptr_eq(current, &beginning));
        if is_current {
            state.beginnings.remove(&key);
            state.windows.begin(key.0, place, charged, at_ms);
        }
        Ok(())
    }
}

#[async_trait]
impl Limits for ProcessLimits {
    async fn reserve(&self, reservation: &Reservation) -> Result<Vec<LimitState>, NotReserved> {
        loop {
            let missing = match self.state().reserve(reservation) {
                Ok(outcome) => return outcome.map_err(NotReserved::Over),
                Err(missing) => missing,
            };
            try_join_all(missing.into_iter().map(|missing| self.begin(missing, reservation.at_ms))).await?;
        }
    }

    fn settle(&self, reservation: &Reservation, used: Amounts) {
        let mut state = self.state();
        if state.open.remove(&reservation.opening) {
            for (subject, place, _) in limits(reservation) {
                let (before, after) = (reservation.amounts.of(place.quota), used.of(place.quota));
                state.windows.settle(subject, place, before, after);
            }
        }
    }
}

impl State {
    /// Takes everything, or nothing; or says which windows are to be made first.
    fn reserve(&mut self, reservation: &Reservation) -> Result<Result<Vec<LimitState>, LimitState>, Vec<Missing>> {
        let limits: Vec<_> = limits(reservation).collect();
        let known: Vec<_> = limits.iter().map(|(subject, place, _)| self.windows.used(subject, *place)).collect();
        if known.contains(&None) {
            let missing = limits.into_iter().zip(known).filter(|(_, known)| known.is_none());
            return Err(missing.map(|((subject, place, _), _)| self.missing(subject, place)).collect());
        }
        // Nobody waits for these any more.
        self.beginnings.retain(|_, beginning| Arc::strong_count(beginning) > 1);
        let mut states: Vec<_> = limits
            .iter()
            .zip(known)
            .map(|((subject, place, limit), used)| LimitState {
                level: subject.level(),
                quota: place.quota,
                limit: *limit,
                used: used.unwrap_or_default(),
                resets_ms: place.end(),
            })
            .collect();
        if limits.is_empty() || self.open.contains(&reservation.opening) {
            return Ok(Ok(states));
        }
        let amount = |quota| reservation.amounts.of(quota);
        let refusing = states.iter().filter(|state| state.used.saturating_add(amount(state.quota)) > state.limit);
        if let Some(refused) = refusing.max_by_key(|state| state.resets_ms) {
            return Ok(Err(*refused));
        }
        self.open.insert(reservation.opening);
        for ((subject, place, _), state) in limits.iter().zip(&mut states) {
            state.used = self.windows.take(subject, *place, amount(place.quota));
        }
        Ok(Ok(states))
    }

    fn missing(&mut self, subject: &Subject, place: Place) -> Missing {
        let beginning = self.beginnings.entry((subject.clone(), place)).or_default().clone();
        Missing { subject: subject.clone(), place, beginning }
    }
}

/// The limits that a reservation falls under: whose, in which window, and how much.
fn limits(reservation: &Reservation) -> impl Iterator<Item = (&Subject, Place, u64)> {
    reservation.claims.iter().flat_map(move |(subject, limits)| {
        let of = move |quota: Quota| Some((subject, Place::of(quota, reservation.at_ms), limits.of(quota)?));
        Quota::ALL.into_iter().filter_map(of)
    })
}

#[cfg(test)]
mod tests;
