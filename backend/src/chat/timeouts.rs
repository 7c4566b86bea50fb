//! Patience with providers, and how often they are asked again.

use std::time::Duration;

/// How long is waited for what. Connecting is the adapters' own matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From the beginning to the first content of a stream, or to the whole of an unstreamed answer, whoever is asked.
    pub(crate) first_content: Duration,
    /// The same for one call, as long as another entry of the plan can still be asked.
    pub(crate) attempt: Duration,
    /// From one event of a stream to the next, once content has come.
    pub(crate) between_chunks: Duration,
    /// For everything.
    pub(crate) total: Duration,
}

/// When the same provider is asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// Calls of one entry of a plan, with the first.
    pub(crate) attempts: u32,
    /// The longest pause before the second; it doubles with every further one.
    pub(crate) base_delay: Duration,
    /// The longest pause of all.
    pub(crate) max_delay: Duration,
    /// The longest `retry-after` of a provider that is waited for, when nobody else can be asked.
    pub(crate) retry_after_limit: Duration,
}

impl Retries {
    /// The pause after so many failed calls of an entry, with a random `fraction` from 0 to 1: "full jitter", as in
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
    pub(super) fn pause(&self, failed: u32, fraction: f64) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        self.base_delay.saturating_mul(1 << doublings).min(self.max_delay).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let millis = Duration::from_millis;
        let retries =
            Retries { attempts: 9, base_delay: millis(100), max_delay: millis(1_000), retry_after_limit: millis(0) };
        for (failed, longest) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (60, 1_000)] {
            assert_eq!(retries.pause(failed, 1.0), millis(longest), "{failed}");
            assert_eq!(retries.pause(failed, 0.5), millis(longest / 2), "{failed}");
            assert_eq!(retries.pause(failed, 0.0), millis(0), "{failed}");
        }
    }
}
