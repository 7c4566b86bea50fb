//! Time and randomness of the machine: the one place that asks for them.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use goblin_shared::{
    conversation::{ID_CHARACTERS, ID_PREFIX},
    request_id::RequestId,
};

use crate::ports::{Clock, Entropy, Ids, OpeningId, Random};

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

    fn opening_id(&self) -> OpeningId {
        let mut random = [0; 16];
        getrandom::fill(&mut random).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
        OpeningId(random)
    }

    fn conversation_id(&self) -> String {
        conversation_id(|bytes| {
            getrandom::fill(bytes).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
        })
    }
}

/// A new id, from random bytes that `random` fills in.
fn conversation_id(mut random: impl FnMut(&mut [u8])) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// The largest multiple of 62 that a byte holds: what lies above would make the first digits likelier than others.
    const FAIR: u8 = 248;
    let length = ID_PREFIX.len() + ID_CHARACTERS;
    let mut id = String::with_capacity(length);
    id.push_str(ID_PREFIX);
    let mut bytes = [0; 32];
    while id.len() < length {
        random(&mut bytes);
        let digits = bytes.iter().filter(|byte| **byte < FAIR).map(|byte| DIGITS[usize::from(byte % 62)]);
        let missing = length - id.len();
        id.extend(digits.take(missing).map(char::from));
    }
    id
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

impl Entropy for SystemRandom {
    fn key_entropy(&self) -> goblin_shared::api_key::Entropy {
        let mut random = [0; 48];
        getrandom::fill(&mut random).unwrap_or_else(|error| panic!("no randomness from the system: {error}"));
        random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids = RandomIds::new(Arc::new(SystemClock));
        assert_ne!(ids.request_id(), ids.request_id());
        assert_ne!(ids.opening_id(), ids.opening_id());
        assert_ne!(ids.conversation_id(), ids.conversation_id());
        assert!(goblin_shared::conversation::is_id(&ids.conversation_id()));
    }

    #[test]
    fn bytes_that_would_not_be_fair_are_passed_over() {
        let mut calls = 0;
        let id = conversation_id(|bytes| {
            calls += 1;
            bytes.fill(if calls == 1 { 248 } else { 61 });
        });
        assert_eq!((calls, id.as_str()), (2, "conv_zzzzzzzzzzzzzzzzzzzzzzzz"));
    }
}
