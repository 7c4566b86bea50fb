//! What is known of each provider from the calls of late: whether to call it, and how soon its answers come.
//!
//! There are two breakers for a call: the provider's, for connections, and that of its model, for everything else that
//! is the provider's fault. A provider that says when it will take requests again is left alone until then.

use std::{collections::BTreeMap, time::Duration};

use goblin_shared::{catalogue::Target, provider_health::ProviderHealth};
use tokio::time::Instant;

use super::{
    breaker::{Breaker, BreakerSettings, Permit, Verdict},
    error_class::{Blame, blame},
};
use crate::{monitoring::metrics::BreakerLevel, ports::ProviderError};

/// A measured time counts as one part in so many; those before it share the rest.
const WEIGHT: u32 = 5;

/// Longest time for which a provider's word that it takes no more is believed.
const HOLD_LIMIT: Duration = Duration::from_mins(2);

/// What is known of all providers.
#[derive(Debug)]
pub(super) struct ProviderState {
    /// `None`: everybody is called, however it goes.
    breakers: Option<BreakerSettings>,
    /// Connections to each provider, by its key.
    connections: BTreeMap<String, Breaker>,
    targets: BTreeMap<Target, Answers>,
    changes: u64,
}

#[derive(Debug, Default)]
struct Answers {
    breaker: Breaker,
    /// The provider takes no more until then.
    held_until: Option<Instant>,
    /// To the first content of streams.
    stream: Option<Duration>,
    /// To the whole of answers in one piece.
    whole: Option<Duration>,
}

impl Answers {
    fn held_for(&self, now: Instant) -> Option<Duration> {
        self.held_until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

/// The right to one call, to be settled with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permits {
    connection: Permit,
    answer: Permit,
}

/// It is not to be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// How long that lasts at most; at least a moment.
    pub(super) remaining: Duration,
    /// Because it said so, not because it failed.
    pub(super) by_its_word: bool,
}

/// What was measured of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The time to the first content of a stream.
    Stream,
    /// The time to the whole of an answer in one piece.
    Whole,
}

impl ProviderState {
    pub(super) fn new(breakers: Option<BreakerSettings>) -> Self {
        Self { breakers, connections: BTreeMap::new(), targets: BTreeMap::new(), changes: 0 }
    }

    /// Asks whether `target` may be called at `now`.
    pub(super) fn permit(&mut self, target: &Target, now: Instant) -> Result<Permits, Closed> {
        let Some(settings) = &self.breakers else {
            return Ok(Permits { connection: Permit::Usual, answer: Permit::Usual });
        };
        // Where a probe is under way there is no telling how long it takes.
        let closed =
            |left: Option<Duration>| Closed { remaining: left.unwrap_or(Duration::from_secs(1)), by_its_word: false };
        let answers = entry(&mut self.targets, target);
        if let Some(left) = answers.held_for(now) {
            return Err(Closed { remaining: left, by_its_word: true });
        }
        let Some(answer) = answers.breaker.permit(settings, now) else {
            return Err(closed(answers.breaker.open_for(now)));
        };
        let connection = match self.connections.get_mut(&target.provider) {
            // Without a failure there is nothing to remember.
            None => Permit::Usual,
            Some(breaker) => {
                let Some(permit) = breaker.permit(settings, now) else {
                    answers.breaker.settle(answer, Verdict::Unknown, settings, now);
                    return Err(closed(breaker.open_for(now)));
                };
                permit
            }
        };
        Ok(Permits { connection, answer })
    }

    /// For how long `target` would not be let through at `now`, if so; asks without taking anything.
    pub(super) fn closed(&self, target: &Target, now: Instant) -> Option<Closed> {
        if self.is_callable(target, now) {
            return None;
        }
        let answers = self.targets.get(target);
        let held = answers.and_then(|answers| answers.held_for(now));
        let open = answers.and_then(|answers| answers.breaker.open_for(now));
        let connection = self.connections.get(&target.provider).and_then(|breaker| breaker.open_for(now));
        // Where a probe is under way there is no telling how long it takes.
        let remaining = held.max(open).max(connection).unwrap_or(Duration::from_secs(1));
        Some(Closed { remaining, by_its_word: held.is_some() && held == Some(remaining) })
    }

    /// Whether `target` would be let through at `now`, as far as that can be said without asking.
    pub(super) fn is_callable(&self, target: &Target, now: Instant) -> bool {
        let Some(settings) = &self.breakers else { return true };
        let answers = self.targets.get(target);
        answers.is_none_or(|answers| answers.breaker.is_callable(settings, now) && answers.held_for(now).is_none())
            && self.connections.get(&target.provider).is_none_or(|breaker| breaker.is_callable(settings, now))
    }

    /// The first content is here, with which a call has worked, unless it breaks later. Waiting for its end would count
    /// failures, which are quick, before successes, which take as long as an answer does; and a probe that answers at
    /// length would keep others away.
    pub(super) fn begin_answer(&mut self, target: &Target, permits: &mut Permits, now: Instant) {
        self.settle(target, *permits, (Verdict::Worked, Verdict::Worked), now);
        *permits = Permits { connection: Permit::Counted, answer: Permit::Counted };
    }

    /// The first content of a stream, or a whole answer, came after `time`.
    pub(super) fn measure(&mut self, target: &Target, mode: Mode, time: Duration) {
        let answers = entry(&mut self.targets, target);
        let average = match mode {
            Mode::Stream => &mut answers.stream,
            Mode::Whole => &mut answers.whole,
        };
        *average = Some(average.map_or(time, |before| (before * (WEIGHT - 1) + time) / WEIGHT));
    }

    /// An answer was complete.
    pub(super) fn succeed(&mut self, target: &Target, permits: Permits, now: Instant) {
        self.settle(target, permits, (Verdict::Worked, Verdict::Worked), now);
    }

    /// A call was given up.
    pub(super) fn give_up(&mut self, target: &Target, permits: Permits, now: Instant) {
        self.settle(target, permits, (Verdict::Unknown, Verdict::Unknown), now);
    }

    /// A call failed at `now`.
    pub(super) fn fail(&mut self, target: &Target, permits: Permits, error: &ProviderError, now: Instant) {
        let verdicts = match blame(error) {
            Blame::Request => (Verdict::Worked, Verdict::Worked),
            Blame::Connection => (Verdict::Failed, Verdict::Failed),
            Blame::Answer => (Verdict::Worked, Verdict::Failed),
            // Silence may be a server that is there, or one that is not.
            Blame::Silence => (Verdict::Unknown, Verdict::Failed),
            Blame::Load => (Verdict::Worked, Verdict::Unknown),
        };
        self.settle(target, permits, verdicts, now);
        if let Some(seconds) = error.retry_after().filter(|seconds| *seconds > 0)
            && self.breakers.is_some()
        {
            let answers = entry(&mut self.targets, target);
            let was_held = answers.held_for(now).is_some();
            let until = now + Duration::from_secs(seconds.into()).min(HOLD_LIMIT);
            answers.held_until = Some(answers.held_until.map_or(until, |held| held.max(until)));
            self.changes += u64::from(!was_held);
        }
    }

    fn settle(&mut self, target: &Target, permits: Permits, verdicts: (Verdict, Verdict), now: Instant) {
        let Some(settings) = &self.breakers else { return };
        let (connection, answer) = verdicts;
        if connection == Verdict::Failed && !self.connections.contains_key(&target.provider) {
            self.connections.insert(target.provider.clone(), Breaker::default());
        }
        let connections = self.connections.get_mut(&target.provider);
        let breakers = connections.map(|breaker| (breaker, "the provider", permits.connection, connection));
        let answers = entry(&mut self.targets, target);
        let breakers = breakers.into_iter().chain([(&mut answers.breaker, "the model", permits.answer, answer)]);
        for (breaker, whose, permit, verdict) in breakers {
            let before = (breaker.is_closed(), breaker.open_for(now));
            breaker.settle(permit, verdict, settings, now);
            let after = (breaker.is_closed(), breaker.open_for(now));
            if before != after {
                self.changes += 1;
                tell(target, whose, after);
            }
        }
    }

    /// Another number whenever something has gone down or come back, but for what time alone changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// How far a provider is called at `now`: the worst of its connections and its models.
    pub(super) fn level(&self, provider: &str, now: Instant) -> BreakerLevel {
        let of = |breaker: &Breaker| match breaker.open_for(now) {
            Some(_) => BreakerLevel::Open,
            None if breaker.is_closed() => BreakerLevel::Closed,
            None => BreakerLevel::HalfOpen,
        };
        let connections = self.connections.get(provider).map(of);
        let models = self.targets.iter().filter(|(target, _)| target.provider == provider);
        let models = models.map(|(_, answers)| match answers.held_for(now) {
            Some(_) => BreakerLevel::Open,
            None => of(&answers.breaker),
        });
        models.chain(connections).max().unwrap_or(BreakerLevel::Closed)
    }

    /// The state at `now` of these providers, which are all that can be called.
    pub(super) fn health<'a>(&self, providers: impl Iterator<Item = &'a String>, now: Instant) -> ProviderHealth {
        let mut health = ProviderHealth::default();
        for key in providers {
            health.provider(key, self.connections.get(key).is_some_and(|breaker| breaker.open_for(now).is_some()));
        }
        for (target, answers) in &self.targets {
            // Times of streams and of whole answers are not compared with each other, where both are known.
            let time = answers.stream.or(answers.whole);
            let milliseconds = time.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
            let is_down = answers.breaker.open_for(now).is_some() || answers.held_for(now).is_some();
            health.model(target, is_down, milliseconds);
        }
        health
    }
}

/// Says in the log that a breaker has opened or closed.
fn tell(target: &Target, whose: &str, (is_closed, open_for): (bool, Option<Duration>)) {
    let target = target.to_string();
    if let Some(open_for) = open_for {
        tracing::warn!(
            target_model = target,
            whose,
            open_seconds = open_for.as_secs_f64(),
            "a circuit breaker has opened"
        );
    } else if is_closed {
        tracing::info!(target_model = target, whose, "a circuit breaker has closed");
    }
}

/// The entry of a target, which is copied only the first time.
fn entry<'a>(targets: &'a mut BTreeMap<Target, Answers>, target: &Target) -> &'a mut Answers {
    if !targets.contains_key(target) {
        targets.insert(target.clone(), Answers::default());
    }
    targets.get_mut(target).unwrap_or_else(|| unreachable!("it was just put there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Obstacle, UpstreamDetail};

    const SETTINGS: BreakerSettings = BreakerSettings {
        window: Duration::from_secs(30),
        min_calls: 5,
        error_ratio: 0.5,
        open_for: Duration::from_secs(10),
        open_for_limit: Duration::from_mins(2),
        probes: 1,
    };

    fn target(model: &str) -> Target {
        Target { provider: "p".to_owned(), model: model.to_owned() }
    }

    fn unreachable() -> ProviderError {
        ProviderError::Unreachable { why: Obstacle::Refused, cause: std::io::Error::other("x").into() }
    }

    fn rejected() -> ProviderError {
        ProviderError::Rejected { status: 400, message: None, detail: UpstreamDetail::default() }
    }

    fn overloaded(retry_after: Option<u32>) -> ProviderError {
        ProviderError::Overloaded { retry_after, other_key: false, detail: UpstreamDetail::default() }
    }

    struct Tried {
        state: ProviderState,
        start: Instant,
        now: Instant,
    }

    impl Tried {
        fn new() -> Self {
            let start = Instant::now();
            Self { state: ProviderState::new(Some(SETTINGS)), start, now: start }
        }

        fn at(&mut self, seconds: u64) -> &mut Self {
            self.now = self.start + Duration::from_secs(seconds);
            self
        }

        fn fail(&mut self, model: &str, error: &ProviderError) {
            let permits = self.state.permit(&target(model), self.now).unwrap();
            self.state.fail(&target(model), permits, error, self.now);
        }

        fn succeed(&mut self, model: &str) {
            let permits = self.state.permit(&target(model), self.now).unwrap();
            self.state.succeed(&target(model), permits, self.now);
        }

        fn closed_for(&mut self, model: &str) -> Option<u64> {
            let permits = self.state.permit(&target(model), self.now);
            let closed = permits.map(|permits| self.state.give_up(&target(model), permits, self.now)).err();
            closed.map(|closed| closed.remaining.as_secs())
        }

        fn field(&self) -> String {
            self.state.health([&"p".to_owned(), &"q".to_owned()].into_iter(), self.now).to_field()
        }
    }

    #[test]
    fn failures_of_a_model_are_its_own() {
        let mut tried = Tried::new();
        assert_eq!(tried.field(), "p=(), q=()");
        for _ in 0..4 {
            tried.fail("a", &ProviderError::Cut);
        }
        assert_eq!((tried.field().as_str(), tried.state.changes()), ("p=(), q=()", 0));
        tried.fail("a", &ProviderError::Cut);
        assert_eq!((tried.field().as_str(), tried.state.changes()), (r#"p=("a";down), q=()"#, 1));
        assert_eq!((tried.closed_for("a"), tried.closed_for("b")), (Some(10), None));
        assert_eq!(tried.at(9).field(), r#"p=("a";down), q=()"#);
        // Time alone lets a probe through.
        assert_eq!(tried.at(10).field(), "p=(), q=()");
        tried.succeed("a");
        assert_eq!((tried.closed_for("a"), tried.state.changes()), (None, 2));
    }

    #[test]
    fn a_clients_fault_counts_as_an_answer() {
        let mut tried = Tried::new();
        for _ in 0..4 {
            tried.fail("a", &ProviderError::Cut);
            tried.fail("a", &rejected());
            tried.fail("a", &rejected());
        }
        assert_eq!(tried.closed_for("a"), None);
    }

    #[test]
    fn connections_are_the_whole_providers() {
        let mut tried = Tried::new();
        for model in ["a", "b", "c", "d"] {
            tried.fail(model, &unreachable());
        }
        tried.fail("a", &ProviderError::TimedOut { what: "x", limit: Duration::ZERO });
        assert_eq!(tried.closed_for("e"), None);
        tried.fail("e", &unreachable());
        assert!(tried.field().starts_with("p=(") && tried.field().contains(");down"), "{}", tried.field());
        assert_eq!(tried.closed_for("f"), Some(10));
        // A probe of any model finds out for all; an answer of any kind came over a connection.
        tried.at(10).fail("f", &ProviderError::Garbage("x"));
        assert_eq!(tried.closed_for("e"), None);
    }

    #[test]
    fn who_says_when_to_come_back_is_left_alone_until_then() {
        let mut tried = Tried::new();
        for _ in 0..10 {
            tried.fail("a", &overloaded(None));
        }
        assert_eq!(tried.closed_for("a"), None, "being busy is no failure");
        tried.fail("a", &overloaded(Some(7)));
        assert_eq!((tried.closed_for("a"), tried.closed_for("b"), tried.state.changes()), (Some(7), None, 1));
        assert!(tried.field().contains(r#""a";down"#), "{}", tried.field());
        assert_eq!(tried.at(6).closed_for("a"), Some(1));
        assert_eq!(tried.at(7).closed_for("a"), None);
        tried.fail("a", &overloaded(Some(100_000)));
        assert_eq!(tried.closed_for("a"), Some(HOLD_LIMIT.as_secs()));
    }

    #[test]
    fn without_breakers_everybody_is_called() {
        let mut tried = Tried { state: ProviderState::new(None), ..Tried::new() };
        for _ in 0..100 {
            tried.fail("a", &unreachable());
            tried.fail("a", &overloaded(Some(7)));
        }
        assert_eq!((tried.closed_for("a"), tried.state.changes()), (None, 0));
    }

    #[test]
    fn times_are_weighted_by_age_and_those_of_streams_come_first() {
        let mut tried = Tried::new();
        for (milliseconds, weighted) in [(1_000, 1_000), (1_000, 1_000), (500, 900), (0, 720)] {
            tried.state.measure(&target("a"), Mode::Whole, Duration::from_millis(milliseconds));
            assert_eq!(tried.field(), format!("p=(\"a\";ms={weighted}), q=()"));
        }
        tried.state.measure(&target("a"), Mode::Stream, Duration::from_millis(30));
        assert_eq!(tried.field(), "p=(\"a\";ms=30), q=()");
    }
}
