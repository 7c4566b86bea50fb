//! A circuit breaker: who fails too often is left alone for a while, and then tried with care.
//!
//! Closed, it counts calls in a rolling window and opens when too many of them failed. Open, it lets nobody through.
//! Half-open, it lets a few probes through: one that succeeds closes it, one that fails opens it for twice as long.
//! The states and their names are Michael Nygard's (Release It!, 2007).

use std::time::Duration;

use tokio::time::Instant;

/// Into how many parts the window is divided: what is older than it is forgotten part by part.
const PARTS: u32 = 10;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerSettings {
    /// How far back calls count.
    pub(crate) window: Duration,
    /// Fewer calls than this say nothing.
    pub(crate) min_calls: u32,
    /// The share of failed calls at which it opens, from 0 to 1.
    pub(crate) error_ratio: f64,
    /// How long it is open the first time.
    pub(crate) open_for: Duration,
    /// How long at most, after failed probes.
    pub(crate) open_for_limit: Duration,
    /// How many probes may be under way at once.
    pub(crate) probes: u32,
}

/// One breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    window: Window,
    /// How often it has opened: a probe of another time says nothing.
    openings: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
        open_for: Duration,
    },
    HalfOpen {
        probes: u32,
        open_for: Duration,
    },
}

/// The right to one call, to be given back with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// One of many.
    Usual,
    /// One by which a half-open breaker finds out, after so many openings.
    Probe(u32),
    /// One that has been settled as [`Verdict::Worked`] with the first content, and may still break.
    Counted,
}

/// How a call went, as far as this breaker is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It worked.
    Worked,
    /// It did not, and others may not either.
    Failed,
    /// It says nothing: it was given up, or failed for a reason of its own.
    Unknown,
}

impl Breaker {
    /// Asks for a call at `now`.
    pub(super) fn permit(&mut self, settings: &BreakerSettings, now: Instant) -> Option<Permit> {
        match &mut self.state {
            State::Closed => Some(Permit::Usual),
            State::Open { until, .. } if now < *until => None,
            State::Open { open_for, .. } => {
                self.state = State::HalfOpen { probes: 1, open_for: *open_for };
                Some(Permit::Probe(self.openings))
            }
            State::HalfOpen { probes, .. } => {
                let free = *probes < settings.probes;
                *probes += u32::from(free);
                free.then_some(Permit::Probe(self.openings))
            }
        }
    }

    /// Takes a permit back.
    pub(super) fn settle(&mut self, permit: Permit, verdict: Verdict, settings: &BreakerSettings, now: Instant) {
        let is_current = permit == Permit::Probe(self.openings);
        match (&mut self.state, is_current, verdict) {
            (State::Closed, _, Verdict::Worked | Verdict::Failed) => {
                let is_new = permit != Permit::Counted;
                self.window.count(is_new, verdict == Verdict::Failed, settings.window, now);
                if self.window.is_bad(settings) {
                    self.open(settings.open_for, now);
                }
            }
            (State::HalfOpen { .. }, true, Verdict::Worked) => {
                *self = Self { openings: self.openings, ..Self::default() };
            }
            (State::HalfOpen { open_for, .. }, true, Verdict::Failed) => {
                let open_for = (*open_for * 2).min(settings.open_for_limit);
                self.open(open_for, now);
            }
            (State::HalfOpen { probes, .. }, true, Verdict::Unknown) => *probes = probes.saturating_sub(1),
            // Calls that began before it opened end as they may.
            (State::Open { .. } | State::HalfOpen { .. }, _, _) | (State::Closed, _, Verdict::Unknown) => {}
        }
    }

    fn open(&mut self, open_for: Duration, now: Instant) {
        self.window = Window::default();
        self.openings = self.openings.wrapping_add(1);
        self.state = State::Open { until: now + open_for, open_for };
    }

    /// How long it is still open; `None` when the next call may go through, be it as a probe.
    pub(super) fn open_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } => until.checked_duration_since(now).filter(|left| !left.is_zero()),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Whether it would let a call through now.
    pub(super) fn is_callable(&self, settings: &BreakerSettings, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until, .. } => now >= until,
            State::HalfOpen { probes, .. } => probes < settings.probes,
        }
    }

    /// Whether nothing is known against it and no call counts any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }
}

/// Calls of late, counted.
#[derive(Debug, Default)]
struct Window {
    parts: [Part; PARTS as usize],
    /// When the first call came, from which parts are counted.
    start: Option<Instant>,
    /// Number of the newest part, from the start.
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u32,
    failed: u32,
}

impl Window {
    /// Counts a call that is `new`, and that it `failed`.
    fn count(&mut self, new: bool, failed: bool, length: Duration, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let part_length = (length / PARTS).max(Duration::from_nanos(1));
        let number = u64::try_from(now.duration_since(start).as_nanos() / part_length.as_nanos()).unwrap_or(u64::MAX);
        // Parts that were passed over without a call are empty; more than all of them cannot be.
        let passed = number.saturating_sub(self.newest).min(u64::from(PARTS));
        for step in 0..passed {
            self.parts[place(number - step)] = Part::default();
        }
        self.newest = self.newest.max(number);
        let part = &mut self.parts[place(self.newest)];
        part.calls = part.calls.saturating_add(u32::from(new));
        part.failed = part.failed.saturating_add(u32::from(failed));
    }

    fn is_bad(&self, settings: &BreakerSettings) -> bool {
        let calls: u64 = self.parts.iter().map(|part| u64::from(part.calls)).sum();
        let failed: u64 = self.parts.iter().map(|part| u64::from(part.failed)).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^53")]
        let ratio = failed as f64 / calls.max(1) as f64;
        failed > 0 && calls >= u64::from(settings.min_calls) && ratio >= settings.error_ratio
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % u64::from(PARTS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        window: Duration::from_secs(30),
        min_calls: 4,
        error_ratio: 0.5,
        open_for: Duration::from_secs(10),
        open_for_limit: Duration::from_secs(40),
        probes: 1,
    };

    /// A breaker and its clock.
    struct Tried {
        breaker: Breaker,
        start: Instant,
        now: Instant,
    }

    impl Tried {
        fn new() -> Self {
            let start = Instant::now();
            Self { breaker: Breaker::default(), start, now: start }
        }

        fn at(&mut self, seconds: u64) -> &mut Self {
            self.now = self.start + Duration::from_secs(seconds);
            self
        }

        fn permit(&mut self) -> Option<Permit> {
            self.breaker.permit(&SETTINGS, self.now)
        }

        fn settle(&mut self, permit: Permit, verdict: Verdict) {
            self.breaker.settle(permit, verdict, &SETTINGS, self.now);
        }

        /// One call, if it is let through.
        fn call(&mut self, verdict: Verdict) -> bool {
            let permit = self.permit();
            permit.inspect(|permit| self.settle(*permit, verdict)).is_some()
        }

        fn calls(&mut self, verdicts: &[Verdict]) {
            for verdict in verdicts {
                assert!(self.call(*verdict));
            }
        }
    }

    use Verdict::{Failed, Unknown, Worked};

    #[test]
    fn it_opens_at_the_ratio_and_not_before_enough_calls() {
        let mut tried = Tried::new();
        tried.calls(&[Failed, Failed, Failed]);
        assert!(tried.breaker.is_closed());
        tried.calls(&[Worked]);
        assert_eq!(tried.breaker.open_for(tried.now), Some(Duration::from_secs(10)));
        assert!(!tried.call(Worked));

        let mut tried = Tried::new();
        tried.calls(&[Worked, Worked, Worked, Failed, Failed, Unknown, Unknown]);
        assert!(tried.breaker.is_closed(), "two of five");
        tried.calls(&[Failed]);
        assert!(!tried.breaker.is_closed(), "three of six");
    }

    #[test]
    fn what_breaks_after_it_worked_is_one_call() {
        let mut tried = Tried::new();
        for _ in 0..3 {
            tried.calls(&[Worked]);
            tried.settle(Permit::Counted, Failed);
            tried.settle(Permit::Counted, Worked);
        }
        assert!(tried.breaker.is_closed(), "three calls");
        tried.calls(&[Worked]);
        assert!(!tried.breaker.is_closed(), "three of four");
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut tried = Tried::new();
        tried.calls(&[Failed, Failed, Failed]);
        tried.at(29).calls(&[Worked]);
        assert!(!tried.breaker.is_closed(), "29 s are within the window");

        let mut tried = Tried::new();
        tried.calls(&[Failed, Failed, Failed]);
        tried.at(30).calls(&[Failed, Failed, Failed]);
        assert!(tried.breaker.is_closed(), "30 s are not");
        tried.at(100_000).calls(&[Failed, Failed, Failed]);
        assert!(tried.breaker.is_closed(), "a long silence neither");
    }

    #[test]
    fn a_probe_decides_and_failed_ones_double_the_time() {
        let mut tried = Tried::new();
        tried.calls(&[Failed; 4]);
        for (at, next) in [(10, 20), (30, 40), (70, 40), (110, 40)] {
            assert!(!tried.at(at - 1).call(Failed), "{at}");
            let probe = tried.at(at).permit().unwrap();
            assert!(matches!(probe, Permit::Probe(_)), "{at}");
            assert!(tried.permit().is_none() && !tried.breaker.is_callable(&SETTINGS, tried.now), "one at a time");
            tried.settle(Permit::Usual, Failed);
            tried.settle(probe, Failed);
            assert_eq!(tried.breaker.open_for(tried.now), Some(Duration::from_secs(next)), "{at}");
        }
        assert!(tried.at(150).call(Worked));
        assert!(tried.breaker.is_closed());
        tried.calls(&[Failed; 3]);
        assert!(tried.breaker.is_closed(), "it starts from nothing");
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_another() {
        let mut tried = Tried::new();
        tried.calls(&[Failed; 4]);
        assert!(tried.at(10).call(Unknown));
        assert!(tried.call(Unknown));
        assert!(tried.call(Worked));
        assert!(tried.breaker.is_closed());
    }

    #[test]
    fn a_probe_of_another_time_says_nothing() {
        let mut tried = Tried::new();
        tried.calls(&[Failed; 4]);
        let late = tried.at(10).permit().unwrap();
        tried.settle(late, Unknown);
        assert!(tried.call(Failed), "another one, which failed");
        let probe = tried.at(30).permit().unwrap();
        tried.settle(late, Worked);
        assert!(!tried.breaker.is_closed());
        tried.settle(probe, Worked);
        assert!(tried.breaker.is_closed());
    }

    proptest! {
        /// Whatever happens: an open breaker lets nobody through, and at most so many probes are under way.
        #[test]
        fn the_rules_hold(steps in prop::collection::vec((0..3_u8, 0..4_000_u64, any::<prop::sample::Index>()), 1..200)) {
            let mut tried = Tried::new();
            let mut under_way: Vec<Permit> = Vec::new();
            let mut millis = 0;
            for (what, pause, which) in steps {
                millis += pause;
                tried.now = tried.start + Duration::from_millis(millis);
                if what == 0 || under_way.is_empty() {
                    let open = tried.breaker.open_for(tried.now).is_some();
                    let callable = tried.breaker.is_callable(&SETTINGS, tried.now);
                    let permit = tried.permit();
                    prop_assert!(!(open && permit.is_some()));
                    prop_assert_eq!(callable, permit.is_some());
                    under_way.extend(permit);
                } else {
                    let permit = under_way.swap_remove(which.index(under_way.len()));
                    tried.settle(permit, [Failed, Worked][usize::from(what) - 1]);
                }
                let is_half_open = matches!(tried.breaker.state, State::HalfOpen { .. });
                let probe = Permit::Probe(tried.breaker.openings);
                let probes = under_way.iter().filter(|permit| **permit == probe).count();
                prop_assert!(!is_half_open || probes <= 1);
            }
        }
    }
}
