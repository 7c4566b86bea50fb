//! One call, watched for what it says of its provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use goblin_shared::catalogue::Target;
use tokio::time::Instant;

use super::provider_state::ProviderState;
use crate::ports::ProviderError;

/// What all calls know together.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedState(Arc<Mutex<ProviderState>>);

impl SharedState {
    /// For a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, ProviderState> {
        // Nothing panics in there between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of `target` begins.
    pub(super) fn watch(&self, target: &Target) -> CallWatch {
        CallWatch {
            state: self.clone(),
            target: target.clone(),
            started: Instant::now(),
            measured: false,
            ended: false,
        }
    }
}

/// A call under way. Dropped before it ends, it was given up and says nothing.
pub(super) struct CallWatch {
    state: SharedState,
    target: Target,
    started: Instant,
    measured: bool,
    ended: bool,
}

impl CallWatch {
    /// Content is here; only the first is measured.
    pub(super) fn content(&mut self) {
        if !std::mem::replace(&mut self.measured, true) {
            self.state.lock().measure(&self.target, self.started.elapsed());
        }
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.state.lock().succeed(&self.target);
        }
    }

    /// The call failed.
    pub(super) fn fail(&mut self, error: &ProviderError) {
        if !std::mem::replace(&mut self.ended, true) {
            self.state.lock().fail(&self.target, error, Instant::now());
        }
    }
}
