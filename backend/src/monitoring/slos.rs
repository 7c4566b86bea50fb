//! The service level objectives: what each promises, whether it is kept, and how much may still go wrong.
//!
//! Events are counted by minute. A window is the minutes that end with the current one.

mod counts;
mod keeper;
mod report;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use self::counts::Minutes;
use crate::ports::{Clock, Run};

pub(crate) use self::{
    counts::{Count, Windows},
    keeper::SloKeeper,
    report::SloReport,
};

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slo {
    /// Chat answers come soon.
    ChatLatency,
    /// Who asks can be told.
    Auth,
    /// Models answer.
    Llm,
    /// Requests do not meet a fault of ours.
    Api,
}

impl Slo {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::ChatLatency, Self::Auth, Self::Llm, Self::Api];

    /// Its id, as metrics and rules name it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::ChatLatency => "chat-latency",
            Self::Auth => "auth",
            Self::Llm => "llm",
            Self::Api => "api",
        }
    }

    /// For people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::ChatLatency => "Chat response time",
            Self::Auth => "Auth success rate",
            Self::Llm => "LLM availability",
            Self::Api => "API availability (as the backend sees it)",
        }
    }
}

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

/// A time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// As metrics and rules name it.
    pub(crate) name: &'static str,
    /// How long it is.
    pub(crate) minutes: u32,
}

/// All that are looked at, the shortest first.
pub(crate) const WINDOWS: [Window; 8] = [
    Window { name: "5m", minutes: 5 },
    Window { name: "30m", minutes: 30 },
    Window { name: "1h", minutes: 60 },
    Window { name: "2h", minutes: 120 },
    Window { name: "6h", minutes: 360 },
    Window { name: "1d", minutes: DAY },
    Window { name: "3d", minutes: 3 * DAY },
    Window { name: "30d", minutes: PERIOD },
];

const DAY: u32 = 24 * 60;
const PERIOD: u32 = 30 * DAY;

/// When the budget burns so fast that somebody must know: over a long and a short window both
/// (<https://sre.google/workbook/alerting-on-slos/>, the sixth way).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BurnAlert {
    /// `page` or `ticket`.
    pub(crate) severity: &'static str,
    /// How many times faster than what would use the budget up in the period.
    pub(crate) factor: f64,
    /// Index of the long window.
    long: usize,
    /// Index of the short one.
    short: usize,
}

/// All of them.
pub(crate) const BURN_ALERTS: [BurnAlert; 4] = [
    BurnAlert { severity: "page", factor: 14.4, long: 2, short: 0 },
    BurnAlert { severity: "page", factor: 6.0, long: 4, short: 1 },
    BurnAlert { severity: "ticket", factor: 3.0, long: 5, short: 3 },
    BurnAlert { severity: "ticket", factor: 1.0, long: 6, short: 4 },
];

/// Counts events. Copies count into the same.
#[derive(Clone)]
pub(crate) struct Slos(Arc<Inner>);

struct Inner {
    run: Run,
    objectives: Objectives,
    clock: Arc<dyn Clock>,
    minutes: Minutes,
}

impl std::fmt::Debug for Slos {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Slos").field("objectives", &self.0.objectives).finish_non_exhaustive()
    }
}

impl Slos {
    /// Nothing is counted yet. `run` is this run of the program alone.
    pub(crate) fn new(objectives: Objectives, clock: Arc<dyn Clock>, run: Run) -> Self {
        Self(Arc::new(Inner { run, objectives, clock, minutes: Minutes::default() }))
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

    fn minute(&self) -> u32 {
        minute_of(self.0.clock.unix_millis())
    }
}

/// Minutes since 1970.
pub(crate) fn minute_of(unix_millis: u64) -> u32 {
    u32::try_from(unix_millis / 60_000).unwrap_or(u32::MAX)
}
