//! One call, watched for what it says of its provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use goblin_shared::catalogue::Target;
use tokio::time::Instant;

use super::provider_state::{Closed, Mode, Permits, ProviderState};
use crate::ports::ProviderError;

/// What all calls know together.
#[derive(Clone, Debug)]
pub(super) struct SharedState(Arc<Mutex<ProviderState>>);

impl SharedState {
    pub(super) fn new(state: ProviderState) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// For a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, ProviderState> {
        // Nothing panics in there between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a call of `target`.
    pub(super) fn watch(&self, target: &Target, mode: Mode) -> Result<CallWatch, Closed> {
        let now = Instant::now();
        let permits = self.lock().permit(target, now)?;
        let target = target.clone();
        Ok(CallWatch { state: self.clone(), target, permits, mode, started: now, measured: false, ended: false })
    }
}

/// The right to one call, and the call once it is under way. Dropped before it ends, it was given up and says nothing.
#[derive(Debug)]
pub(super) struct CallWatch {
    state: SharedState,
    target: Target,
    permits: Permits,
    mode: Mode,
    started: Instant,
    measured: bool,
    ended: bool,
}

impl CallWatch {
    /// The call begins now.
    pub(super) fn begin(&mut self) {
        self.started = Instant::now();
    }

    /// Content is here; only the first is measured.
    pub(super) fn content(&mut self) {
        if !std::mem::replace(&mut self.measured, true) {
            let mut state = self.state.lock();
            state.measure(&self.target, self.mode, self.started.elapsed());
            state.begin_answer(&self.target, &mut self.permits, Instant::now());
        }
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.state.lock().succeed(&self.target, self.permits, Instant::now());
        }
    }

    /// The call failed.
    pub(super) fn fail(&mut self, error: &ProviderError) {
        if !std::mem::replace(&mut self.ended, true) {
            self.state.lock().fail(&self.target, self.permits, error, Instant::now());
        }
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        if !self.ended {
            self.state.lock().give_up(&self.target, self.permits, Instant::now());
        }
    }
}
