//! Telemetry that is lost, counted by signal and reason.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::metrics::{DropReason, Signal};

/// Counts of items. Copies count into the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<[[AtomicU64; DropReason::ALL.len()]; Signal::ALL.len()]>);

impl Drops {
    /// So many more items are lost.
    pub(super) fn add(&self, signal: Signal, reason: DropReason, items: u64) {
        self.0[signal as usize][reason as usize].fetch_add(items, Ordering::Relaxed);
    }

    /// All that is not zero.
    pub(super) fn all(&self) -> impl Iterator<Item = (Signal, DropReason, u64)> {
        let pairs = Signal::ALL.into_iter().flat_map(|signal| DropReason::ALL.map(|reason| (signal, reason)));
        let counted = pairs
            .map(|(signal, reason)| (signal, reason, self.0[signal as usize][reason as usize].load(Ordering::Relaxed)));
        counted.filter(|(_, _, items)| *items > 0)
    }
}
