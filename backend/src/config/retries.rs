//! `[retries]`: how often a call is made again.

use std::time::Duration;

use super::{
    reader::Reader,
    value::{Count, Value},
};

/// Most calls of one entry of a plan.
const MOST_ATTEMPTS: usize = 10;

/// What is done about calls that failed before anything was answered.
#[derive(Clone, Debug)]
pub(crate) struct RetriesConfig {
    /// `retries.attempts`, `GOBLIN_RETRIES__ATTEMPTS`: calls of one entry of a plan, the first included; 1 to 10.
    /// Default 2.
    pub(crate) attempts: u32,
    /// `retries.base_delay`, `GOBLIN_RETRIES__BASE_DELAY`: longest pause before the second call; it doubles with each.
    /// Default 100 ms.
    pub(crate) base_delay: Duration,
    /// `retries.max_delay`, `GOBLIN_RETRIES__MAX_DELAY`: longest pause of all. Default 2 s.
    pub(crate) max_delay: Duration,
    /// `retries.retry_after_limit`, `GOBLIN_RETRIES__RETRY_AFTER_LIMIT`: longest `retry-after` of a provider that is waited
    /// for when no entry is left; `0s`: none. Default 5 s.
    pub(crate) retry_after_limit: Duration,
}

impl RetriesConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let attempts = reader.or(&["retries", "attempts"], Attempts(2)).0;
        let base_delay = reader.nonzero(&["retries", "base_delay"], Duration::from_millis(100));
        let max_delay = reader.nonzero(&["retries", "max_delay"], Duration::from_secs(2));
        if max_delay < base_delay {
            reader.fault_of(&["retries", "max_delay"], "must not be shorter than retries.base_delay");
        }
        let retry_after_limit = reader.or(&["retries", "retry_after_limit"], Duration::from_secs(5));
        Self { attempts, base_delay, max_delay, retry_after_limit }
    }
}

struct Attempts(u32);

impl Value for Attempts {
    fn from_text(text: &str) -> Result<Self, String> {
        let count = Count::from_text(text).ok().filter(|count| count.0 <= MOST_ATTEMPTS);
        let count = count.and_then(|Count(count)| u32::try_from(count).ok());
        count.map(Self).ok_or_else(|| format!("must be a whole number from 1 to {MOST_ATTEMPTS}"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}
