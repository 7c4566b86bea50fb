//! The windows that are counted in, and which of them are forgotten.

use std::collections::HashMap;

use super::super::window::window;
use crate::ports::{Quota, Subject};

/// How long a window without open reservations is remembered after its end, in milliseconds: clocks are set back.
const GRACE_MS: u64 = 3_600_000;

/// How often is looked for what is to be forgotten, in milliseconds.
const SWEEP_MS: u64 = 60_000;

/// Most windows that are remembered without need: a few hundred bytes each. Beyond, all go that have no open reservation,
/// and begin anew with what the ledger says.
const MOST: usize = 200_000;

/// A window of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) quota: Quota,
    /// Its first millisecond since 1970.
    start: u64,
}

impl Place {
    /// The one that holds a time.
    pub(super) fn of(quota: Quota, at_ms: u64) -> Self {
        Self { quota, start: window(quota, at_ms).start }
    }

    /// The first millisecond after it.
    pub(super) fn end(self) -> u64 {
        window(self.quota, self.start).end
    }
}

#[derive(Debug)]
struct Window {
    place: Place,
    used: u64,
    /// Reservations that are not settled.
    open: u32,
}

/// All windows that are remembered.
#[derive(Debug, Default)]
pub(super) struct Windows {
    of: HashMap<Subject, Vec<Window>>,
    count: usize,
    /// Most that are remembered, where that is more than [`MOST`].
    most: usize,
    swept_ms: u64,
}

impl Windows {
    /// What is used in a window, if it is remembered.
    pub(super) fn used(&self, subject: &Subject, place: Place) -> Option<u64> {
        let windows = self.of.get(subject)?;
        windows.iter().find(|window| window.place == place).map(|window| window.used)
    }

    /// Remembers a window from now on.
    pub(super) fn begin(&mut self, subject: Subject, place: Place, used: u64, now_ms: u64) {
        if self.count >= self.most.max(MOST) {
            self.forget(|window| window.open == 0);
            // Those that are needed may be more.
            self.most = 2 * self.count;
        } else if now_ms.abs_diff(self.swept_ms) >= SWEEP_MS {
            self.swept_ms = now_ms;
            self.forget(|window| window.open == 0 && window.place.end().saturating_add(GRACE_MS) < now_ms);
        }
        self.of.entry(subject).or_default().push(Window { place, used, open: 0 });
        self.count += 1;
    }

    /// Takes an amount; what is used then.
    pub(super) fn take(&mut self, subject: &Subject, place: Place, amount: u64) -> u64 {
        let Some(window) = self.find(subject, place) else { return 0 };
        window.used = window.used.saturating_add(amount);
        window.open += 1;
        window.used
    }

    /// Puts what was used in the place of what was taken.
    pub(super) fn settle(&mut self, subject: &Subject, place: Place, taken: u64, used: u64) {
        if let Some(window) = self.find(subject, place) {
            window.used = window.used.saturating_sub(taken).saturating_add(used);
            window.open = window.open.saturating_sub(1);
        }
    }

    fn find(&mut self, subject: &Subject, place: Place) -> Option<&mut Window> {
        self.of.get_mut(subject)?.iter_mut().find(|window| window.place == place)
    }

    fn forget(&mut self, is_idle: impl Fn(&Window) -> bool) {
        self.of.retain(|_, windows| {
            windows.retain(|window| !is_idle(window));
            !windows.is_empty()
        });
        self.count = self.of.values().map(Vec::len).sum();
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count
    }
}
