//! What is used, added up from the ledger's rows, and what answers say is left.

use std::collections::BTreeMap;

use goblin_tests::ledger_reader::LedgerRow;
use reqwest::Response;

use super::seen::Seen;
use crate::client;

/// Over which time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Minute,
    Day,
}

impl Window {
    /// Its number since 1970.
    pub(super) fn of(self, ms: u64) -> u64 {
        ms / match self {
            Self::Minute => 60_000,
            Self::Day => 86_400_000,
        }
    }
}

/// What each window was charged.
pub(super) fn charged(
    rows: &[LedgerRow],
    window: Window,
    what: impl Fn(&LedgerRow) -> Option<u64>,
) -> BTreeMap<u64, u64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        *sums.entry(window.of(row.started_ms)).or_default() += what(row).unwrap_or_else(|| panic!("open: {row:?}"));
    }
    sums
}

/// Who was refused for too many requests in a minute was refused rightly: so many there were. Nothing is said of one
/// who was refused around the end of a minute.
pub(super) fn assert_full(refused: &Seen, rows: &[LedgerRow], limit: u64) {
    let (from, to) = (Window::Minute.of(refused.time.0), Window::Minute.of(refused.time.1));
    if from == to {
        let used = charged(rows, Window::Minute, |row| row.charged_requests).remove(&from).unwrap_or_default();
        assert_eq!(used, limit, "a reservation was lost: {refused:?}");
    }
}

/// What is left of a limit, by the field `ratelimit` of an answer: `"name";r=12;t=30`.
pub(super) fn left(answer: &Response, name: &str) -> Option<u64> {
    let list = client::header(answer, "ratelimit")?;
    let wanted = format!("\"{name}\"");
    let item = list.split(',').map(str::trim).find(|item| item.split(';').next() == Some(wanted.as_str()))?;
    item.split(';').find_map(|parameter| parameter.trim().strip_prefix("r=")).and_then(|left| left.parse().ok())
}
