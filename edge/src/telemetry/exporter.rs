//! Who sends what waits, and when. One sends at a time for each signal; who vanishes is replaced; after failures there is
//! a pause.

use crate::config::otlp::Signal;

/// The right and the duty of a request to send, after its answer, what waits of one signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// What to send.
    pub signal: Signal,
    /// How long to sleep first, in milliseconds.
    pub wait_ms: u32,
    /// When the runtime ends the request, in milliseconds since 1970.
    until: f64,
}

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Some,
    FullBatch,
}

/// Who is at it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Idle,
    /// Somebody sleeps until `due`.
    Sleeping {
        since: f64,
        due: f64,
    },
    /// Somebody sends.
    Sending {
        since: f64,
        ticket: u64,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Exporter {
    delay_ms: u32,
    timeout_ms: u32,
    state: State,
    tickets: u64,
    failures: u32,
    /// No sooner than this is sent again.
    not_before: f64,
}

impl Exporter {
    /// Who was told to send and has not been heard of for so long is gone, with the request that it belonged to.
    const PATIENCE_MS: f64 = 60_000.0;
    /// The runtime lets work go on for 30 seconds after an answer.
    const GRANTED_MS: f64 = 28_000.0;
    /// Longest sleep that leaves time to send.
    const LONGEST_SLEEP_MS: f64 = 25_000.0;
    /// With less time left nobody begins to send.
    const LEAST_MS: f64 = 1_000.0;
    /// The pause after the first failure; each one more doubles it.
    const PAUSE_MS: f64 = 1_000.0;
    const LONGEST_PAUSE_MS: f64 = 60_000.0;
    /// A timer may go off before its time.
    const TIMER_SLACK_MS: f64 = 50.0;

    pub(super) fn new(delay_ms: u32, timeout_ms: u32) -> Self {
        Self { delay_ms, timeout_ms, state: State::Idle, tickets: 0, failures: 0, not_before: 0.0 }
    }

    /// Whether whoever sends has vanished.
    pub(super) fn is_abandoned(&self, now: f64) -> bool {
        matches!(self.state, State::Sending { since, .. } if now >= since + Self::PATIENCE_MS)
    }

    /// Whether the caller is to send. Somebody who sleeps is overtaken when a full batch need not wait so long.
    pub(super) fn claim(&mut self, signal: Signal, waiting: Waiting, now: f64) -> Option<Turn> {
        let delay = match waiting {
            Waiting::Nothing => return None,
            Waiting::Some => f64::from(self.delay_ms),
            Waiting::FullBatch => 0.0,
        };
        let due = (now + delay).max(self.not_before);
        let sleep = (due - now).ceil();
        if sleep > Self::LONGEST_SLEEP_MS {
            // Somebody who comes later will.
            return None;
        }
        match self.state {
            State::Sending { .. } => return None,
            State::Sleeping { since, due: earlier } if now < since + Self::PATIENCE_MS && due >= earlier => {
                return None;
            }
            State::Sleeping { .. } | State::Idle => {}
        }
        self.state = State::Sleeping { since: now, due };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 25,000")]
        let wait_ms = sleep as u32;
        Some(Turn { signal, wait_ms, until: now + Self::GRANTED_MS })
    }

    /// A ticket to send with and how many milliseconds there are for it, unless it is not the time.
    pub(super) fn begin(&mut self, turn: &Turn, waiting: Waiting, now: f64) -> Option<(u64, u32)> {
        if matches!(self.state, State::Sending { .. }) {
            return None;
        }
        let left = turn.until - now;
        let pauses = now + Self::TIMER_SLACK_MS < self.not_before;
        if waiting == Waiting::Nothing || left < Self::LEAST_MS || pauses {
            self.state = State::Idle;
            return None;
        }
        self.tickets += 1;
        self.state = State::Sending { since: now, ticket: self.tickets };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1,000 to 28,000")]
        let left_ms = left.min(Self::GRANTED_MS) as u32;
        Some((self.tickets, self.timeout_ms.min(left_ms)))
    }

    /// Whether a ticket is the one that is being sent with; then it is so no longer.
    pub(super) fn end(&mut self, ticket: u64) -> bool {
        let is_current = matches!(self.state, State::Sending { ticket: current, .. } if current == ticket);
        if is_current {
            self.state = State::Idle;
        }
        is_current
    }

    /// Ends the sending of somebody who vanished.
    pub(super) fn abandon(&mut self) {
        self.state = State::Idle;
    }

    /// The collector answered.
    pub(super) fn succeed(&mut self) {
        (self.failures, self.not_before) = (0, 0.0);
    }

    /// The collector could not take it. `retry_after_ms` is what it asks for, if it does.
    pub(super) fn fail(&mut self, retry_after_ms: Option<f64>, now: f64) {
        let doubled = Self::PAUSE_MS * f64::from(1_u32 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.max(retry_after_ms.unwrap_or_default()).min(Self::LONGEST_PAUSE_MS);
        self.not_before = now + pause;
    }

    /// A batch that was too large or too slow is tried again by half, and so is a collector that comes back.
    pub(super) fn batch_items(&self, configured: usize) -> usize {
        (configured >> self.failures.min(16)).max(1)
    }
}
