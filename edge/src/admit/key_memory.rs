//! What one isolate remembers of keys' limits: whom their objects refused, and how it counts itself when an object does not
//! answer.

use std::{collections::HashMap, time::Duration};

use goblin_shared::rate_limit::{RatePolicy, Standing};

/// Bounded, and no more than a help: the objects alone count exactly.
#[derive(Debug, Default)]
pub struct KeyMemory(HashMap<String, Entry>);

#[derive(Debug, Default)]
struct Entry {
    /// Like the others in microseconds since 1970.
    refused_until: u64,
    full_again: u64,
    /// Theoretical arrival time of what was counted here.
    tat: u64,
}

impl KeyMemory {
    /// How many keys are remembered: some hundred kilobytes at most.
    const CAPACITY: usize = 4_096;

    /// A refusal that still holds, so that a key that is over its limit does not cost its object a call for each try.
    #[must_use]
    pub fn refused(&self, key_id: &str, now_us: u64) -> Option<Standing> {
        let Entry { refused_until, full_again, .. } = self.0.get(key_id)?;
        let retry_after = refused_until.checked_sub(now_us).filter(|wait| *wait > 0)?;
        let reset = Duration::from_micros(full_again.saturating_sub(now_us));
        Some(Standing { passes: false, remaining: 0, reset, retry_after: Duration::from_micros(retry_after) })
    }

    /// Notes what an object said.
    pub fn note(&mut self, key_id: &str, standing: &Standing, now_us: u64) {
        if !standing.passes {
            let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            let entry = self.entry(key_id, now_us);
            entry.refused_until = now_us.saturating_add(micros(standing.retry_after));
            entry.full_again = now_us.saturating_add(micros(standing.reset));
        }
    }

    /// Counts a request here, by the same policy, as its object does not answer: each isolate lets the policy's requests
    /// through then, and not any number.
    pub fn take_alone(&mut self, key_id: &str, policy: &RatePolicy, now_us: u64) -> Standing {
        policy.take(&mut self.entry(key_id, now_us).tat, now_us)
    }

    fn entry(&mut self, key_id: &str, now_us: u64) -> &mut Entry {
        if self.0.len() >= Self::CAPACITY && !self.0.contains_key(key_id) {
            self.0.retain(|_, entry| entry.refused_until > now_us || entry.tat > now_us);
            if self.0.len() >= Self::CAPACITY {
                self.0.clear();
            }
        }
        self.0.entry(key_id.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_refusal_holds_as_long_as_the_object_said() {
        let mut memory = KeyMemory::default();
        let (policy, mut tat) = (RatePolicy::parse(1, "1/10").unwrap(), 0);
        memory.note("key", &policy.take(&mut tat, NOW), NOW);
        assert_eq!(memory.refused("key", NOW), None, "it passed");
        memory.note("key", &policy.take(&mut tat, NOW), NOW);
        let standing = memory.refused("key", NOW + 4 * SECOND).unwrap();
        assert_eq!((standing.passes, standing.retry_after), (false, Duration::from_secs(6)));
        assert_eq!(memory.refused("key", NOW + 10 * SECOND), None);
        assert_eq!(memory.refused("other", NOW), None);
    }

    #[test]
    fn alone_it_counts_by_the_same_policy() {
        let (mut memory, policy) = (KeyMemory::default(), RatePolicy::parse(3, "1/10").unwrap());
        let passing = (0..9).filter(|_| memory.take_alone("key", &policy, NOW).passes).count();
        assert_eq!(passing, 3);
        assert!(memory.take_alone("other", &policy, NOW).passes);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut memory, policy) = (KeyMemory::default(), RatePolicy::parse(1, "1/10").unwrap());
        for index in 0..3 * KeyMemory::CAPACITY {
            memory.take_alone(&index.to_string(), &policy, NOW);
            assert!(memory.0.len() <= KeyMemory::CAPACITY);
        }
    }
}
