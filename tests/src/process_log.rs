//! The lines of a child process.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// More than any test prints, and a bound for `cargo xtask dev`, which may run for days.
const KEPT_LINES: usize = 50_000;

/// Lines in the order in which they came, the oldest forgotten at some bound.
#[derive(Default)]
pub struct ProcessLog {
    lines: Mutex<Lines>,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<String>,
    forgotten: usize,
    closed: bool,
}

impl ProcessLog {
    pub(crate) fn push(&self, line: &str) {
        let mut lines = self.lock();
        if lines.kept.len() == KEPT_LINES {
            lines.kept.pop_front();
            lines.forgotten += 1;
        }
        lines.kept.push_back(line.to_owned());
        drop(lines);
        self.changed.notify_waiters();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// The first line, from the oldest kept on, for which `find` gives something; waits for lines to come. `None` when
    /// no more will come. Each line is shown to `find` once.
    pub async fn find<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut seen = 0_usize;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking, so that a line that comes in between wakes us.
            changed.as_mut().enable();
            {
                let lines = self.lock();
                let skip = seen.saturating_sub(lines.forgotten);
                if let Some(found) = lines.kept.iter().skip(skip).find_map(|line| find(line)) {
                    return Some(found);
                }
                seen = lines.forgotten + lines.kept.len();
                if lines.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// All lines that are kept.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().kept.iter().cloned().collect()
    }

    /// The last `count` lines as one text.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lock();
        let skip = lines.kept.len().saturating_sub(count);
        let mut text = String::new();
        for line in lines.kept.iter().skip(skip) {
            text.extend(["    ", line, "\n"]);
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
