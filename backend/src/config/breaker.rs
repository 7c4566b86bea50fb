//! `[breaker]`: when a provider that fails is left alone.

use std::time::Duration;

use super::{
    reader::Reader,
    value::{Count, Ratio},
};

/// When the circuit breaker of a provider, or of a model of it, opens and closes.
#[derive(Clone, Debug)]
pub(crate) struct BreakerConfig {
    /// `breaker.enabled`, `GOBLIN_BREAKER__ENABLED`: `false` calls every provider however it goes, and forgets what it says
    /// of when to come back. Default `true`.
    pub(crate) enabled: bool,
    /// `breaker.window`, `GOBLIN_BREAKER__WINDOW`: over which time calls are counted. Default 30 s.
    pub(crate) window: Duration,
    /// `breaker.min_calls`, `GOBLIN_BREAKER__MIN_CALLS`: fewest calls in the window that say anything. Default 5.
    pub(crate) min_calls: usize,
    /// `breaker.error_ratio`, `GOBLIN_BREAKER__ERROR_RATIO`: which part of them must have failed; more than 0, at most 1.
    /// Default 0.5.
    pub(crate) error_ratio: f64,
    /// `breaker.open_for`, `GOBLIN_BREAKER__OPEN_FOR`: how long nothing is called then; it doubles each time that a probe
    /// fails. Default 10 s.
    pub(crate) open_for: Duration,
    /// `breaker.open_for_limit`, `GOBLIN_BREAKER__OPEN_FOR_LIMIT`: up to this. Default 2 m.
    pub(crate) open_for_limit: Duration,
    /// `breaker.probes`, `GOBLIN_BREAKER__PROBES`: calls at the same time that find out whether it works again. Default 1.
    pub(crate) probes: usize,
}

impl BreakerConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let enabled = reader.or(&["breaker", "enabled"], true);
        let window = reader.nonzero(&["breaker", "window"], Duration::from_secs(30));
        let Count(min_calls) = reader.or(&["breaker", "min_calls"], Count(5));
        let Ratio(error_ratio) = reader.or(&["breaker", "error_ratio"], Ratio(0.5));
        let open_for = reader.nonzero(&["breaker", "open_for"], Duration::from_secs(10));
        let open_for_limit = reader.nonzero(&["breaker", "open_for_limit"], Duration::from_mins(2));
        if open_for_limit < open_for {
            reader.fault_of(&["breaker", "open_for_limit"], "must not be shorter than breaker.open_for");
        }
        let Count(probes) = reader.or(&["breaker", "probes"], Count(1));
        Self { enabled, window, min_calls, error_ratio, open_for, open_for_limit, probes }
    }
}
