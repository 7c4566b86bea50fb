//! The two phases of an ending: first nothing new, then nothing at all.

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Shared by all that must know whether the program is ending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    draining: CancellationToken,
    cut: CancellationToken,
}

impl Shutdown {
    /// First phase: no new connection, not ready any more; what is open may end by itself.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Second phase: what is still open is ended.
    pub(crate) fn cut(&self) {
        self.draining.cancel();
        self.cut.cancel();
    }

    /// Whether the first phase has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits for the first phase, without borrowing.
    pub(crate) fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        self.draining.clone().cancelled_owned()
    }

    /// Waits for the second phase.
    pub(crate) fn cut_off(&self) -> WaitForCancellationFuture<'_> {
        self.cut.cancelled()
    }
}
