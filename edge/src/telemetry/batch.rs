//! What leaves together, and what becomes of it.

use crate::config::otlp::Signal;

/// Something to send.
#[derive(Debug)]
pub struct Batch {
    /// What it is.
    pub signal: Signal,
    /// The body of the export, not compressed.
    pub body: Vec<u8>,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// How long the collector may take, in milliseconds: no longer than the runtime lets the request go on.
    pub timeout_ms: u32,
    pub(super) ticket: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The collector has it, but for what it rejected.
    Accepted {
        /// Items that it rejected ([`PartialSuccess`](super::PartialSuccess)).
        rejected: u64,
    },
    /// The collector does not want it, and would not another time.
    Refused,
    /// The collector could not be reached, did not answer in time, or wants it later.
    Failed {
        /// What its `retry-after` says, in milliseconds.
        retry_after_ms: Option<f64>,
    },
}

impl Outcome {
    /// Of an answer without partial success, by its status, as OTLP/HTTP wants it: only 429, 502, 503 and 504 are
    /// worth another try.
    #[must_use]
    pub const fn of_status(status: u16, retry_after_ms: Option<f64>) -> Self {
        match status {
            200..=299 => Self::Accepted { rejected: 0 },
            429 | 502..=504 => Self::Failed { retry_after_ms },
            _ => Self::Refused,
        }
    }
}
