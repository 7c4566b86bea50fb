//! Patience with a provider.

use std::time::Duration;

/// How long is waited for what. Connecting is the adapters' own matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From the call to the first content of a stream, or to the whole of an unstreamed answer.
    pub(crate) first_content: Duration,
    /// From one chunk of a stream to the next, once content has come.
    pub(crate) between_chunks: Duration,
    /// For the whole call.
    pub(crate) total: Duration,
}
