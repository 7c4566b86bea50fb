//! How calls of each provider went lately: how soon answers came, and whether they come at all.
//!
//! This tells the edge what to avoid; it keeps nobody from calling. Calls that were given up say nothing.

use std::{collections::BTreeMap, time::Duration};

use goblin_shared::{catalogue::Target, provider_health::ProviderHealth};
use tokio::time::Instant;

use crate::ports::ProviderError;

/// Failures in a row after which something is down.
const FAILURES: u32 = 5;

/// How long it is down. After that, the next failure puts it down again, and a success makes it whole.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// A measured time counts as one part in so many; those before it share the rest.
const WEIGHT: u32 = 5;

/// What is known of all providers.
#[derive(Debug, Default)]
pub(super) struct ProviderState {
    /// Connections to each provider, by its key.
    connections: BTreeMap<String, Run>,
    targets: BTreeMap<Target, Answers>,
    changes: u64,
}

#[derive(Debug, Default)]
struct Answers {
    run: Run,
    /// Exponentially weighted.
    first_content: Option<Duration>,
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Run {
    failures: u32,
    down_until: Option<Instant>,
}

impl Run {
    /// Says whether this put it down.
    fn fail(&mut self, now: Instant) -> bool {
        let was_down = self.is_down(now);
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.down_until = Some(now + DOWN_FOR);
        }
        self.is_down(now) && !was_down
    }

    fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }
}

impl ProviderState {
    /// The first content of a stream, or a whole answer, came after `time`.
    pub(super) fn measure(&mut self, target: &Target, time: Duration) {
        let first_content = &mut self.targets.entry(target.clone()).or_default().first_content;
        *first_content = Some(first_content.map_or(time, |before| (before * (WEIGHT - 1) + time) / WEIGHT));
    }

    /// An answer was complete.
    pub(super) fn succeed(&mut self, target: &Target) {
        let run = self.targets.get_mut(target).map(|answers| std::mem::take(&mut answers.run));
        let was_down = run.is_some_and(|run| run.down_until.is_some());
        self.changes += u64::from(was_down) + u64::from(self.connected(target));
    }

    /// A call failed at `now`.
    pub(super) fn fail(&mut self, target: &Target, error: &ProviderError, now: Instant) {
        match error {
            // The fault of a request alone, which says nothing of the next.
            ProviderError::Rejected { .. } => return,
            // Nobody else's calls of this provider get through either.
            ProviderError::Unreachable(_) => {
                self.changes += u64::from(self.connections.entry(target.provider.clone()).or_default().fail(now));
            }
            // Silence may be a server that is there, or one that is not.
            ProviderError::TimedOut { .. } => {}
            _ => self.changes += u64::from(self.connected(target)),
        }
        self.changes += u64::from(self.targets.entry(target.clone()).or_default().run.fail(now));
    }

    /// Something came over a connection. Says whether the provider was down.
    fn connected(&mut self, target: &Target) -> bool {
        self.connections.remove(&target.provider).is_some_and(|run| run.down_until.is_some())
    }

    /// Another number whenever something has gone down or come back, but for what time alone changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The state at `now` of these providers, which are all that can be called.
    pub(super) fn health<'a>(&self, providers: impl Iterator<Item = &'a String>, now: Instant) -> ProviderHealth {
        let mut health = ProviderHealth::default();
        for key in providers {
            health.provider(key, self.connections.get(key).is_some_and(|run| run.is_down(now)));
        }
        for (target, answers) in &self.targets {
            let milliseconds = answers.first_content.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
            health.model(target, answers.run.is_down(now), milliseconds);
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::UpstreamDetail;

    fn target(model: &str) -> Target {
        Target { provider: "p".to_owned(), model: model.to_owned() }
    }

    fn unreachable() -> ProviderError {
        ProviderError::Unreachable(std::io::Error::other("x").into())
    }

    fn rejected() -> ProviderError {
        ProviderError::Rejected { status: 400, message: None, detail: UpstreamDetail::default() }
    }

    fn field(state: &ProviderState, now: Instant) -> String {
        state.health([&"p".to_owned(), &"q".to_owned()].into_iter(), now).to_field()
    }

    #[test]
    fn five_failures_in_a_row_put_a_model_down_for_ten_seconds() {
        let (mut state, start) = (ProviderState::default(), Instant::now());
        assert_eq!(field(&state, start), "p=(), q=()");
        for _ in 0..4 {
            state.fail(&target("a"), &ProviderError::Cut, start);
        }
        state.succeed(&target("a"));
        for _ in 0..4 {
            state.fail(&target("a"), &ProviderError::Cut, start);
            state.fail(&target("a"), &rejected(), start);
        }
        assert_eq!((field(&state, start).as_str(), state.changes()), ("p=(), q=()", 0));
        state.fail(&target("a"), &ProviderError::Cut, start);
        assert_eq!((field(&state, start).as_str(), state.changes()), (r#"p=("a";down), q=()"#, 1));
        let seconds = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(field(&state, seconds(9)), r#"p=("a";down), q=()"#);
        assert_eq!(field(&state, seconds(10)), "p=(), q=()");

        // One try more.
        state.fail(&target("a"), &ProviderError::Cut, seconds(15));
        assert_eq!((field(&state, seconds(24)).as_str(), state.changes()), (r#"p=("a";down), q=()"#, 2));
        state.succeed(&target("a"));
        assert_eq!((field(&state, seconds(24)).as_str(), state.changes()), ("p=(), q=()", 3));
        state.fail(&target("a"), &ProviderError::Cut, seconds(24));
        assert_eq!(field(&state, seconds(24)), "p=(), q=()");
    }

    #[test]
    fn connections_are_the_whole_providers() {
        let (mut state, now) = (ProviderState::default(), Instant::now());
        for model in ["a", "b", "a", "b"] {
            state.fail(&target(model), &unreachable(), now);
        }
        state.fail(&target("a"), &ProviderError::TimedOut { what: "x", limit: DOWN_FOR }, now);
        assert_eq!(field(&state, now), "p=(), q=()");
        state.fail(&target("b"), &unreachable(), now);
        assert_eq!((field(&state, now).as_str(), state.changes()), ("p=();down, q=()", 1));
        // An answer of any kind came over a connection.
        state.fail(&target("b"), &ProviderError::Garbage("x"), now);
        assert_eq!((field(&state, now).as_str(), state.changes()), ("p=(), q=()", 2));
    }

    #[test]
    fn times_are_weighted_by_age() {
        let (mut state, now) = (ProviderState::default(), Instant::now());
        for (milliseconds, weighted) in [(1_000, 1_000), (1_000, 1_000), (500, 900), (0, 720)] {
            state.measure(&target("a"), Duration::from_millis(milliseconds));
            assert_eq!(field(&state, now), format!("p=(\"a\";ms={weighted}), q=()"));
        }
    }
}
