//! Events by minute, and sums over the windows that end now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{DAY, PERIOD, Slo, WINDOWS};
use crate::ports::SloCount;

/// Minutes that are known, beyond the longest window: a day, so that the first day of the history is whole.
const KEPT: u32 = PERIOD + DAY;

/// How many events, and how many of them were good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// As they should be.
    pub(crate) good: u64,
    /// All that count.
    pub(crate) valid: u64,
}

impl Count {
    /// With another.
    pub(super) const fn and(self, other: Self) -> Self {
        Self { good: self.good + other.good, valid: self.valid + other.valid }
    }

    /// The share of good ones; `None`: nothing happened.
    #[expect(clippy::cast_precision_loss, reason = "events are fewer than 2^53")]
    pub(crate) fn compliance(self) -> Option<f64> {
        (self.valid > 0).then(|| self.good as f64 / self.valid as f64)
    }
}

/// Of each objective.
pub(super) type Counts = [Count; Slo::ALL.len()];

/// What happened, minute by minute.
#[derive(Default)]
pub(super) struct Minutes(Mutex<State>);

#[derive(Default)]
struct State {
    /// By this run.
    own: BTreeMap<u32, Counts>,
    /// By all others, as far as is known.
    others: BTreeMap<u32, Counts>,
    /// Minutes of ours that nobody else knows as they are.
    unwritten: BTreeSet<u32>,
}

impl Minutes {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, minute: u32, slo: Slo, is_good: bool) {
        let mut state = self.state();
        let count = &mut state.own.entry(minute).or_default()[slo as usize];
        *count = count.and(Count { good: u64::from(is_good), valid: 1 });
        state.unwritten.insert(minute);
    }

    /// What is to be written, with what was counted of it in all.
    pub(super) fn take_unwritten(&self) -> Vec<SloCount> {
        let mut state = self.state();
        let minutes = std::mem::take(&mut state.unwritten);
        let of = |minute: u32| {
            let counts = state.own.get(&minute).copied().unwrap_or_default();
            Slo::ALL
                .into_iter()
                .map(move |slo| (slo, counts[slo as usize]))
                .filter(|(_, count)| count.valid > 0)
                .map(move |(slo, Count { good, valid })| SloCount { slo: slo.id().to_owned(), minute, good, valid })
        };
        minutes.into_iter().flat_map(of).collect()
    }

    /// It was not written after all.
    pub(super) fn give_back(&self, counts: &[SloCount]) {
        self.state().unwritten.extend(counts.iter().map(|count| count.minute));
    }

    /// What others have counted from a minute on.
    pub(super) fn learn(&self, from: u32, counts: &[SloCount]) {
        let mut state = self.state();
        drop(state.others.split_off(&from));
        for SloCount { slo, minute, good, valid } in counts {
            // One of a later version may have more.
            let Some(slo) = Slo::ALL.into_iter().find(|known| known.id() == slo) else { continue };
            let count = &mut state.others.entry(*minute).or_default()[slo as usize];
            *count = count.and(Count { good: *good, valid: *valid });
        }
    }

    /// Everything that counts at a minute, the oldest first; what is too old is dropped.
    pub(super) fn all(&self, now: u32) -> Vec<(u32, Counts)> {
        let mut state = self.state();
        let first = now.saturating_sub(KEPT);
        state.own = state.own.split_off(&first);
        state.others = state.others.split_off(&first);
        state.unwritten = state.unwritten.split_off(&first);
        let mut all = state.others.clone();
        for (minute, counts) in &state.own {
            let sums = all.entry(*minute).or_default();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.and(*count);
            }
        }
        all.into_iter().collect()
    }
}

/// Sums over each of [`WINDOWS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows(pub(crate) [Counts; WINDOWS.len()]);

impl Windows {
    /// Of what happened, the oldest first, up to `now`.
    pub(super) fn of(all: &[(u32, Counts)], now: u32) -> Self {
        let mut windows = Self::default();
        for (window, sums) in WINDOWS.into_iter().zip(&mut windows.0) {
            *sums = sum(all, (now + 1).saturating_sub(window.minutes), now);
        }
        windows
    }
}

/// What happened from one minute to another, both within.
pub(super) fn sum(all: &[(u32, Counts)], from: u32, to: u32) -> Counts {
    let begin = all.partition_point(|(minute, _)| *minute < from);
    let end = all.partition_point(|(minute, _)| *minute <= to);
    let mut sums = Counts::default();
    for (_, counts) in all.get(begin..end).unwrap_or_default() {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.and(*count);
        }
    }
    sums
}
