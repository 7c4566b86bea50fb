//! Embeddings: the same text has the same vector in every run and at every provider.

/// Length of a vector when the request says nothing of it. Far shorter than real ones, which nothing here depends on.
pub(super) const DIMENSIONS: usize = 8;

/// The vector of a text, of length 1 as the real ones are.
pub(super) fn of(text: &str, dimensions: usize) -> Vec<f32> {
    // FNV-1a, continued over the numbers of the places.
    let hash = |seed: u64, bytes: &[u8]| {
        bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let of_text = hash(0xcbf2_9ce4_8422_2325, text.as_bytes());
    let coordinate = |place: usize| {
        let bits = hash(of_text, &place.to_le_bytes()) >> 48;
        f32::from(u16::try_from(bits).unwrap_or(u16::MAX)) / f32::from(u16::MAX) - 0.5
    };
    let vector: Vec<f32> = (0..dimensions).map(coordinate).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// Tokens that a text counts as: its words.
pub(super) fn tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_told_apart_and_of_length_one() {
        let (one, other) = (of("one", 8), of("other", 8));
        assert_eq!(one, of("one", 8));
        assert_ne!(one, other);
        let length: f32 = other.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
        assert_eq!(of("one", 3).len(), 3);
    }
}
