//! What is known of a request from its acceptance on.

use std::sync::{Arc, OnceLock};

use goblin_shared::{error_body::ErrorCode, request_id::RequestId};

use crate::ports::Onward;

use super::{chat_progress::ChatProgress, edge_gate::Admission};

/// Goes with the request to its handler.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    /// Its id.
    pub(super) request_id: RequestId,
    /// Whether it came through the edge, and with what.
    pub(super) admission: Admission,
    /// Whether the trace's id is random.
    pub(super) random_trace_id: bool,
    /// What the caller hands along with the trace.
    pub(super) onward: Option<Arc<Onward>>,
    /// For what fails after the head of the answer is gone.
    pub(super) late_failure: LateFailure,
    /// Is told how far the answer of a chat request has come.
    pub(super) progress: ChatProgress,
}

/// A failure in mid-answer, told by who streams to who sees the body end.
#[derive(Clone, Debug, Default)]
pub(super) struct LateFailure(Arc<OnceLock<ErrorCode>>);

impl LateFailure {
    /// The answer cannot be completed.
    pub(super) fn report(&self, code: ErrorCode) {
        // The first one is the reason.
        let _ = self.0.set(code);
    }

    /// What was reported, if anything.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        self.0.get().copied()
    }
}
