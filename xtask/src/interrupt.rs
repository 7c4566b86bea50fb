//! Being asked to end.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals by which people and supervisors ask a program to end.
pub(crate) struct Interrupt {
    /// SIGINT.
    ctrl_c: Signal,
    /// `kill`, and what supervisors send.
    terminate: Signal,
    /// The terminal was closed.
    hang_up: Signal,
}

impl Interrupt {
    /// From now on these signals do not end the program by themselves.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Self {
            ctrl_c: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
