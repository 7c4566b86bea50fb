//! How many tokens a prompt has, about: no tokenizer fits into the edge, and each model has another one.
//!
//! An ASCII byte counts as a quarter of a token and another byte of UTF-8 as a third, so that a Cyrillic letter is two
//! thirds and a Chinese character a whole token. Four tokens are added for each message, for its role and borders.
//! Counted are the texts of `messages`, `system`, `tools` and `response_format`, of the latter two the names as well; of
//! Anthropic's messages those of `output_config` and `output_format` too. Media count a fixed number instead of their
//! bytes. Of embeddings, the texts of `input` are counted, and each of its numbers, which are tokens already.

/// What a quarter and a third of a token are whole multiples of.
const PARTS: u64 = 12;
const ASCII_BYTE: u64 = PARTS / 4;
const OTHER_BYTE: u64 = PARTS / 3;
/// Tokens of an image, a sound or a file; about those of an image of 1024 by 1024 pixels.
const MEDIA: u64 = 1_000;
/// Tokens that a message has beside its text.
const MESSAGE: u64 = 4;

/// How many tokens texts have together, about. The rule is the one that prompts are measured by, so that what was asked
/// and what was answered are of one measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Estimate(u64);

impl Estimate {
    /// Adds a text, or a piece of one, as it is written in JSON, escapes and all.
    pub fn text(&mut self, text: &[u8]) {
        let others = others(text);
        self.0 += (text.len() as u64 - others) * ASCII_BYTE + others * OTHER_BYTE;
    }

    pub(super) fn media(&mut self) {
        self.0 += MEDIA * PARTS;
    }

    pub(super) fn message(&mut self) {
        self.0 += MESSAGE * PARTS;
    }

    /// One that the client has counted itself.
    pub(super) fn token(&mut self) {
        self.0 += PARTS;
    }

    /// The sum, rounded up.
    #[must_use]
    pub fn tokens(self) -> u32 {
        u32::try_from(self.0.div_ceil(PARTS)).unwrap_or(u32::MAX)
    }
}

/// How many bytes are not ASCII.
fn others(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let high_bits = |word: &[u8; 8]| u64::from((u64::from_ne_bytes(*word) & 0x8080_8080_8080_8080).count_ones());
    words.iter().map(high_bits).sum::<u64>() + rest.iter().map(|byte| u64::from(byte >> 7)).sum::<u64>()
}

/// Whether a part of this `type` is an image; none if it is no media. The names are OpenAI's and Anthropic's.
pub(super) fn media(kind: &[u8]) -> Option<bool> {
    match kind {
        b"image_url" | b"input_image" | b"image" => Some(true),
        b"input_audio" | b"file" | b"input_file" | b"document" => Some(false),
        _ => None,
    }
}

/// How much of a text shows whether it is base64: no language goes so long without a space or a mark.
const BASE64_BYTES: usize = 128;

/// Whether a member of this name holds media, or a signature, in base64. Of Anthropic's documents, `data` may be plain
/// text as well.
pub(super) fn is_base64(name: &[u8], text: &[u8]) -> bool {
    let start = &text[..text.len().min(BASE64_BYTES)];
    // Encoders may escape slashes and break lines; in JSON that shows as backslashes and letters.
    matches!(name, b"data" | b"file_data" | b"signature")
        && start.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\\".contains(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> u32 {
        let mut estimate = Estimate::default();
        estimate.text(text.as_bytes());
        estimate.tokens()
    }

    #[test]
    fn a_token_is_four_bytes_of_ascii_and_fewer_of_other_scripts() {
        for (text, expected) in [
            ("", 0),
            ("a", 1),
            ("The quick brown fox jumps over the lazy dog.", 11),
            ("Съешь же ещё этих мягких французских булок.", 26),
            ("我能吞下玻璃而不伤身体。", 12),
            ("🦀🦀🦀", 4),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_told_from_plain_text_by_name_and_letters() {
        for text in ["iVBORw0KGgo=", "iVBO\\/w0K\\nGgo", "a-b_c", ""] {
            assert!(is_base64(b"data", text.as_bytes()), "{text}");
            assert!(!is_base64(b"text", text.as_bytes()), "{text}");
        }
        let long = format!("{} and so on", "A".repeat(BASE64_BYTES));
        assert!(is_base64(b"signature", long.as_bytes()));
        for text in ["Once upon a time", "Привет", "a,b"] {
            assert!(!is_base64(b"data", text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_counted_as_one_by_one(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(others(&text), text.iter().filter(|byte| !byte.is_ascii()).count() as u64);
        }
    }
}
