//! Remembers which requests of the edge have been seen, so that a recorded one cannot be sent again.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use goblin_shared::request_id::RequestId;

type Key = (RequestId, u32);

/// Seen pairs of request id and attempt.
#[derive(Debug)]
pub(crate) struct ReplayStore {
    seen: Mutex<Seen>,
    capacity: usize,
    keep_seconds: u64,
}

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    /// In the order of their expiry, in seconds since 1970.
    expiries: VecDeque<(u64, Key)>,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNew {
    /// It has been seen.
    Replayed,
    /// There is no room to remember it, so that it could be replayed unnoticed.
    Full,
}

impl ReplayStore {
    /// Keeps each request for twice the skew: a signature from the future is good for as long.
    pub(crate) fn new(capacity: usize, skew_seconds: u64) -> Self {
        Self { seen: Mutex::default(), capacity, keep_seconds: 2 * skew_seconds }
    }

    /// Notes a request whose signature is valid.
    pub(super) fn note(&self, request_id: RequestId, attempt: u32, unix_seconds: u64) -> Result<(), NotNew> {
        let key = (request_id, attempt);
        // A panic elsewhere cannot leave the two collections apart: nothing in here panics between their changes.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, expired)) = seen.expiries.pop_front_if(|(expiry, _)| *expiry < unix_seconds) {
            seen.keys.remove(&expired);
        }
        if seen.keys.contains(&key) {
            return Err(NotNew::Replayed);
        }
        if seen.keys.len() >= self.capacity {
            return Err(NotNew::Full);
        }
        seen.keys.insert(key);
        seen.expiries.push_back((unix_seconds.saturating_add(self.keep_seconds), key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> RequestId {
        RequestId::new(0, &[number; 10])
    }

    #[test]
    fn a_request_is_taken_once_per_attempt() {
        let store = ReplayStore::new(10, 60);
        assert_eq!(store.note(id(1), 1, 1_000), Ok(()));
        assert_eq!(store.note(id(1), 1, 1_000), Err(NotNew::Replayed));
        assert_eq!(store.note(id(1), 2, 1_000), Ok(()));
        assert_eq!(store.note(id(2), 1, 1_000), Ok(()));
        assert_eq!(store.note(id(1), 1, 1_120), Err(NotNew::Replayed));
        assert_eq!(store.note(id(1), 1, 1_121), Ok(()));
    }

    #[test]
    fn a_full_store_takes_nothing_until_something_expires() {
        let store = ReplayStore::new(2, 60);
        assert_eq!(store.note(id(1), 1, 1_000), Ok(()));
        assert_eq!(store.note(id(2), 1, 1_050), Ok(()));
        assert_eq!(store.note(id(3), 1, 1_060), Err(NotNew::Full));
        assert_eq!(store.note(id(1), 1, 1_060), Err(NotNew::Replayed));
        assert_eq!(store.note(id(3), 1, 1_121), Ok(()));
        assert_eq!(store.note(id(4), 1, 1_121), Err(NotNew::Full));
    }
}
