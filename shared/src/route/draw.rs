//! Chance that can be repeated: whole numbers drawn from a seed, and from a conversation's key.

use sha2::{Digest, Sha256};

use crate::catalogue::Target;

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `bound` - 1, all but equally likely.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        scale(self.next(), bound)
    }
}

/// Maps a number evenly to 0 to `bound` - 1.
pub(super) fn scale(number: u64, bound: u32) -> u32 {
    // The upper half of the product of two numbers of 32 bits.
    u32::try_from(((number >> 32) * u64::from(bound)) >> 32).unwrap_or(u32::MAX)
}

/// A key's own number for each target: the first eight bytes of SHA-256 over key, a zero byte and target.
pub(super) struct KeyHash(Sha256);

impl KeyHash {
    pub(super) fn new(key: &str) -> Self {
        Self(Sha256::new_with_prefix(key).chain_update([0]))
    }

    pub(super) fn of(&self, target: &Target) -> u64 {
        let hash =
            self.0.clone().chain_update(&target.provider).chain_update("/").chain_update(&target.model).finalize();
        let (first, _) = hash.split_at(8);
        first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference() {
        // The generator's published first outputs for seed 1234567.
        let mut draw = Draw::new(1_234_567);
        assert_eq!(
            [draw.next(), draw.next(), draw.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        assert_eq!((scale(0, 7), scale(u64::MAX, 7), scale(1 << 63, 7)), (0, 6, 3));
    }

    #[test]
    fn keys_and_targets_have_their_own_numbers() {
        let [a, b] = ["p/a", "p/b"].map(|text| Target::parse(text).unwrap());
        assert_ne!(KeyHash::new("k").of(&a), KeyHash::new("k").of(&b));
        assert_ne!(KeyHash::new("k").of(&a), KeyHash::new("l").of(&a));
        assert_eq!(hex::encode(KeyHash::new("k").of(&a).to_be_bytes()), hex::encode(&Sha256::digest(b"k\0p/a")[..8]));
    }
}
