//! The service level objectives: what each promises, whether it is kept, and how much may still go wrong.
//!
//! Events are counted by minute. A window is the minutes that end with the current one.

mod counts;
mod keeper;
mod report;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use goblin_shared::objectives::{BURN_ALERTS, BurnAlert, WINDOWS};

use self::counts::Minutes;
use crate::ports::{Clock, Run};

pub(crate) use self::{
    counts::{Count, Windows},
    keeper::SloKeeper,
    report::SloReport,
};
pub(crate) use goblin_shared::objectives::Slo;

/// How good is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Objectives {
    /// The share of good events that is promised, in the order of [`Slo::ALL`].
    pub(crate) ratios: [f64; Slo::ALL.len()],
    /// Within which time a chat request is answered well.
    pub(crate) chat_within: Duration,
    /// Over how many days a promise is kept or not; at most 30.
    pub(crate) period_days: u32,
}

impl Objectives {
    /// What is promised of one.
    pub(crate) const fn ratio(&self, slo: Slo) -> f64 {
        self.ratios[slo as usize]
    }
}

/// How old what gauges are told may be.
const RECENT_MS: u64 = 1_000;

const DAY: u32 = 24 * 60;
const PERIOD: u32 = 30 * DAY;

/// Counts events. Copies count into the same.
#[derive(Clone)]
pub(crate) struct Slos(Arc<Inner>);

struct Inner {
    run: Run,
    objectives: Objectives,
    clock: Arc<dyn Clock>,
    minutes: Minutes,
    /// What gauges were told last.
    recent: Mutex<Option<Arc<SloReport>>>,
}

impl std::fmt::Debug for Slos {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Slos").field("objectives", &self.0.objectives).finish_non_exhaustive()
    }
}

impl Slos {
    /// Nothing is counted yet. `run` is this run of the program alone.
    pub(crate) fn new(objectives: Objectives, clock: Arc<dyn Clock>, run: Run) -> Self {
        Self(Arc::new(Inner { run, objectives, clock, minutes: Minutes::default(), recent: Mutex::default() }))
    }

    /// Something happened that counts: as it should, or not.
    pub(crate) fn record(&self, slo: Slo, is_good: bool) {
        self.0.minutes.add(self.minute(), slo, is_good);
    }

    /// A chat request was answered after so long.
    pub(crate) fn answered_after(&self, time: Duration) {
        self.record(Slo::ChatLatency, time <= self.0.objectives.chat_within);
    }

    /// How all of them stand.
    pub(crate) fn report(&self) -> SloReport {
        let now_ms = self.0.clock.unix_millis();
        SloReport::new(self.0.objectives, now_ms, &self.0.minutes.all(minute_of(now_ms)))
    }

    /// The same, up to a second old: for those who look often, as whoever counts waits for them.
    pub(crate) fn recent_report(&self) -> Arc<SloReport> {
        let mut recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.0.clock.unix_millis();
        match recent.as_ref().filter(|report| report.is_of(now_ms, RECENT_MS)) {
            Some(report) => report.clone(),
            None => recent.insert(Arc::new(self.report())).clone(),
        }
    }

    fn minute(&self) -> u32 {
        minute_of(self.0.clock.unix_millis())
    }
}

/// Minutes since 1970.
pub(crate) fn minute_of(unix_millis: u64) -> u32 {
    u32::try_from(unix_millis / 60_000).unwrap_or(u32::MAX)
}
