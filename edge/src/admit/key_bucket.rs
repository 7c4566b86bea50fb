//! What the Durable Object of one API key keeps, and when it forgets it. The clock is handed in.

use goblin_shared::rate_limit::{RatePolicy, Standing};

/// One key's state: the theoretical arrival time, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBucket {
    tat_us: u64,
}

/// What happens when the object wakes up to clean up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waking {
    /// The key is idle: nothing of it needs to be kept.
    Forget,
    /// It was used since: wake up again after so many microseconds.
    Again(u64),
}

/// How long a key must be idle, its whole burst free again, before its object forgets it: waking up and storing anew costs
/// more than keeping a number.
pub const IDLE_US: u64 = 3_600_000_000;

impl KeyBucket {
    /// From what is stored; nothing is for a key that is new, or was forgotten.
    #[must_use]
    pub fn restored(tat_us: Option<u64>) -> Self {
        Self { tat_us: tat_us.unwrap_or(0) }
    }

    /// Decides one request; with what must be stored before the answer leaves, if that changes. A refusal may change it
    /// too: after the clock went back, or under a narrower policy, what is stored lies too far ahead.
    pub fn take(&mut self, policy: &RatePolicy, now_us: u64) -> (Standing, Option<u64>) {
        let before = self.tat_us;
        let standing = policy.take(&mut self.tat_us, now_us);
        (standing, (self.tat_us != before).then_some(self.tat_us))
    }

    /// Whether to forget the key. However far ahead the stored time lies, a window from now is the longest it counts.
    #[must_use]
    pub fn wake(&self, policy: &RatePolicy, now_us: u64) -> Waking {
        let window = u64::try_from(policy.window().as_micros()).unwrap_or(u64::MAX);
        let idle_from = self.tat_us.min(now_us.saturating_add(window)).saturating_add(IDLE_US);
        if now_us >= idle_from { Waking::Forget } else { Waking::Again(idle_from - now_us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    fn used_up(burst: u32) -> KeyBucket {
        let policy = RatePolicy::parse(burst, "1/1").unwrap();
        let mut bucket = KeyBucket::restored(None);
        for _ in 0..burst {
            let (standing, stored) = bucket.take(&policy, NOW);
            assert!(standing.passes && stored.is_some());
        }
        bucket
    }

    /// What survives when the object is evicted: only what it was told to store.
    fn passes_after_restart(stored: &mut u64, policy: &RatePolicy, now: u64) -> bool {
        let (standing, store) = KeyBucket::restored(Some(*stored)).take(policy, now);
        *stored = store.unwrap_or(*stored);
        standing.passes
    }

    #[test]
    fn a_narrower_policy_holds_within_its_own_window_whatever_was_stored() {
        let mut stored = used_up(400).tat_us;
        let narrow = RatePolicy::parse(5, "1/1").unwrap();
        assert!(!passes_after_restart(&mut stored, &narrow, NOW));
        assert!(!passes_after_restart(&mut stored, &narrow, NOW + SECOND - 1));
        assert!(passes_after_restart(&mut stored, &narrow, NOW + SECOND), "as it was told");
    }

    #[test]
    fn a_clock_that_went_back_locks_nobody_out() {
        let mut stored = used_up(5).tat_us;
        let (policy, earlier) = (RatePolicy::parse(5, "1/1").unwrap(), NOW - 3_600 * SECOND);
        assert!(!passes_after_restart(&mut stored, &policy, earlier));
        assert!(passes_after_restart(&mut stored, &policy, earlier + SECOND));
    }

    #[test]
    fn what_does_not_change_is_not_stored() {
        let (mut bucket, policy) = (used_up(5), RatePolicy::parse(5, "1/1").unwrap());
        assert_eq!(bucket.take(&policy, NOW).1, None);
    }

    #[test]
    fn a_key_is_forgotten_when_it_was_idle_for_an_hour_and_not_before() {
        let (bucket, policy) = (used_up(5), RatePolicy::parse(5, "1/1").unwrap());
        assert_eq!(bucket.wake(&policy, NOW), Waking::Again(5 * SECOND + IDLE_US));
        assert_eq!(bucket.wake(&policy, NOW + 5 * SECOND + IDLE_US - 1), Waking::Again(1));
        assert_eq!(bucket.wake(&policy, NOW + 5 * SECOND + IDLE_US), Waking::Forget);
        let narrow = RatePolicy::parse(1, "1/1").unwrap();
        assert_eq!(used_up(400).wake(&narrow, NOW), Waking::Again(SECOND + IDLE_US));
        assert_eq!(KeyBucket::restored(None).wake(&policy, NOW), Waking::Forget);
    }
}
