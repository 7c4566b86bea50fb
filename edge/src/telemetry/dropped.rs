//! What was dropped and is known to be, by signal and reason.

use crate::config::otlp::Signal;

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// There was no room for it.
    QueueFull,
    /// The collector did not want it.
    Rejected,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::Rejected];

    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
        }
    }
}

/// Counts of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped([[u64; DropReason::ALL.len()]; Signal::ALL.len()]);

impl Dropped {
    pub(super) fn add(&mut self, signal: Signal, reason: DropReason, count: u64) {
        self.0[signal as usize][reason as usize] += count;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        for (signal, reason, count) in other.iter() {
            self.add(signal, reason, count);
        }
    }

    pub(super) fn get(&self, signal: Signal, reason: DropReason) -> u64 {
        self.0[signal as usize][reason as usize]
    }

    /// Those that there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Signal, DropReason, u64)> {
        let pairs = Signal::ALL.into_iter().flat_map(|signal| DropReason::ALL.map(|reason| (signal, reason)));
        pairs.map(|(signal, reason)| (signal, reason, self.get(signal, reason))).filter(|(_, _, count)| *count > 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
