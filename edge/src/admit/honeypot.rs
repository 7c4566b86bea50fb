//! Who asked for what only scanners ask for is remembered for a while.

use std::collections::{HashMap, VecDeque};

/// Clients that fell into a trap, as far as one isolate remembers: a help against scanners that go on, no guarantee.
#[derive(Debug, Default)]
pub struct Trapped {
    until: HashMap<String, u64>,
    order: VecDeque<(u64, String)>,
}

impl Trapped {
    /// How long one is remembered.
    const MEMORY_S: u64 = 600;
    /// How many are, the latest first: some hundred kilobytes at most.
    const CAPACITY: usize = 4_096;

    /// Remembers the client behind an address bucket.
    pub fn remember(&mut self, bucket: &str, unix_seconds: u64) {
        let until = unix_seconds + Self::MEMORY_S;
        if self.until.insert(bucket.to_owned(), until) != Some(until) {
            self.order.push_back((until, bucket.to_owned()));
        }
        while self.order.front().is_some_and(|(end, _)| *end <= unix_seconds || self.order.len() > Self::CAPACITY) {
            let Some((end, oldest)) = self.order.pop_front() else { break };
            // Unless it was remembered anew since.
            if self.until.get(&oldest) == Some(&end) {
                self.until.remove(&oldest);
            }
        }
    }

    /// Whether the client behind an address bucket is remembered.
    #[must_use]
    pub fn knows(&self, bucket: &str, unix_seconds: u64) -> bool {
        self.until.get(bucket).is_some_and(|until| unix_seconds < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_remembered_for_ten_minutes_from_its_last_try() {
        let mut trapped = Trapped::default();
        trapped.remember("192.0.2.1", 1_000);
        assert!(trapped.knows("192.0.2.1", 1_599) && !trapped.knows("192.0.2.1", 1_600));
        assert!(!trapped.knows("192.0.2.2", 1_000));
        trapped.remember("192.0.2.1", 1_500);
        trapped.remember("192.0.2.9", 1_700);
        assert!(trapped.knows("192.0.2.1", 2_099));
    }

    #[test]
    fn memory_is_bounded() {
        let mut trapped = Trapped::default();
        for index in 0..3 * Trapped::CAPACITY {
            trapped.remember(&index.to_string(), 1_000);
        }
        assert_eq!((trapped.until.len(), trapped.order.len()), (Trapped::CAPACITY, Trapped::CAPACITY));
        assert!(!trapped.knows("0", 1_000) && trapped.knows(&(3 * Trapped::CAPACITY - 1).to_string(), 1_000));
        let mut trapped = Trapped::default();
        for second in 0..3 * Trapped::CAPACITY as u64 {
            trapped.remember("one", second / 100);
            assert!(trapped.knows("one", second / 100));
        }
        assert!(trapped.until.len() == 1 && trapped.order.len() <= Trapped::CAPACITY);
        trapped.remember("two", 2_000);
        assert_eq!((trapped.until.len(), trapped.order.len()), (1, 1));
    }
}
