//! What is asked for once and then again in the background: stale while it is revalidated (as RFC 5861 names it).

/// When a value came, and when it was last asked for; in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Freshness {
    came_at: Option<f64>,
    asked_at: Option<f64>,
}

impl Freshness {
    /// Who asked and has not said anything within this time is gone, with the request that he belonged to.
    pub const PATIENCE_MS: f64 = 5_000.0;

    /// A value came.
    pub fn came(&mut self, now: f64) {
        *self = Self { came_at: Some(now), asked_at: None };
    }

    /// How old the value is; `None` when there is none.
    #[must_use]
    pub fn age(&self, now: f64) -> Option<f64> {
        self.came_at.map(|came_at| now - came_at)
    }

    /// Whether the caller is to ask for a newer value, as this one is older than `fresh_ms` and nobody else is asking.
    pub fn is_to_ask(&mut self, now: f64, fresh_ms: f64) -> bool {
        let is_fresh = self.age(now).is_some_and(|age| age < fresh_ms);
        let is_asked = self.asked_at.is_some_and(|asked_at| now < asked_at + Self::PATIENCE_MS);
        if is_fresh || is_asked {
            return false;
        }
        self.asked_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_asks_for_what_is_not_fresh() {
        let mut freshness = Freshness::default();
        assert!(freshness.is_to_ask(0.0, 10.0) && !freshness.is_to_ask(1.0, 10.0));
        freshness.came(2.0);
        assert_eq!(freshness.age(5.0), Some(3.0));
        assert!(!freshness.is_to_ask(11.0, 10.0));
        assert!(freshness.is_to_ask(12.0, 10.0) && !freshness.is_to_ask(12.0, 10.0));
    }

    #[test]
    fn who_asked_and_is_gone_is_replaced() {
        let mut freshness = Freshness::default();
        assert!(freshness.is_to_ask(0.0, 10.0));
        assert!(!freshness.is_to_ask(Freshness::PATIENCE_MS - 1.0, 10.0));
        assert!(freshness.is_to_ask(Freshness::PATIENCE_MS, 10.0));
    }
}
