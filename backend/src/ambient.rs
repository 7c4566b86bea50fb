//! Time and randomness of the machine: the one place that asks for them.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use goblin_shared::{
    api_key::{ApiKey, IssuerSecret},
    request_id::RequestId,
};

use crate::ports::{Clock, Ids, Random};

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that is handed in elsewhere")]
    fn unix_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ids from a clock and the operating system's randomness.
pub(crate) struct RandomIds {
    clock: Arc<dyn Clock>,
}

impl RandomIds {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Ids for RandomIds {
    fn request_id(&self) -> RequestId {
        let mut random = [0; 10];
        // Without randomness no TLS connection works either: there is no way to go on.
        getrandom::fill(&mut random).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
        RequestId::new(self.clock.unix_millis(), &random)
    }
}

/// The operating system's randomness.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what fits exactly")]
    fn fraction(&self) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        // Without it everybody comes back at the latest moment, which is as good as can be then.
        getrandom::u64().map_or(0.0, |bits| (bits >> 11) as f64 / STEPS)
    }
}

/// A fresh API key of the first issuer secret.
pub(crate) fn mint_api_key(issuer: &IssuerSecret) -> ApiKey {
    let mut random = [0; 48];
    getrandom::fill(&mut random).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
    ApiKey::mint(issuer, &random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids = RandomIds::new(Arc::new(SystemClock));
        assert_ne!(ids.request_id(), ids.request_id());
    }
}
