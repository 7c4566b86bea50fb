//! How far the answer of a chat request has come, for its durations.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{
    chat::Outcome,
    monitoring::metrics::{Metrics, Mode},
};

/// Told by who answers, and by who sees the body end. Copies are of the same request. What is no chat request, or was
/// refused before it might be answered, counts nowhere.
#[derive(Clone, Debug)]
pub(super) struct ChatProgress {
    received: Instant,
    metrics: Metrics,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    mode: OnceLock<Mode>,
    has_responded: AtomicBool,
}

impl ChatProgress {
    /// Of a request that came at `received`.
    pub(super) fn new(received: Instant, metrics: Metrics) -> Self {
        Self { received, metrics, state: Arc::default() }
    }

    /// It is a chat request, and may be answered.
    pub(super) fn admitted(&self, mode: Mode) {
        // Said once.
        let _ = self.state.mode.set(mode);
    }

    /// The first content of a stream leaves now.
    pub(super) fn first_content(&self) {
        self.respond(Outcome::Completed);
    }

    /// The body has ended, or is given up.
    pub(super) fn ended(&self, outcome: Outcome) {
        self.respond(outcome);
        if let Some(mode) = self.state.mode.get() {
            self.metrics.chat_end(*mode, outcome.as_str(), self.received.elapsed());
        }
    }

    fn respond(&self, outcome: Outcome) {
        if let Some(mode) = self.state.mode.get()
            && !self.state.has_responded.swap(true, Ordering::Relaxed)
        {
            self.metrics.chat_response(*mode, outcome.as_str(), self.received.elapsed());
        }
    }
}
