//! Signs that a text holds what must not leave in telemetry: keys, tokens, e-mail addresses, IP addresses, payment cards.
//!
//! One look at each byte. `false` is certain; `true` says that a closer look is due, or, where there is none, that the text
//! stays here.

/// How keys and tokens begin that are known by their beginnings.
const BEGINNINGS: [&[u8]; 22] = [
    b"gob_",
    b"sk-",
    b"sk_",
    b"AIza",
    b"xai",
    b"gsk",
    b"ghp",
    b"gho",
    b"ghs",
    b"github_pat",
    b"key",
    b"hf_",
    b"pplx-",
    b"nvapi-",
    b"ya29.",
    b"AKIA",
    b"ASIA",
    b"eyJ",
    b"earer ",
    b"EARER ",
    b"asic ",
    b"BASIC ",
];

/// Whether the text may hold any.
#[must_use]
pub fn may_identify(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut digits, mut dots, mut colons) = (0, 0, 0);
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' => dots += 1,
            b':' => colons += 1,
            b'@' => return true,
            b'A' | b'B' | b'E' | b'a' | b'e' | b'g' | b'h' | b'k' | b'n' | b'p' | b's' | b'x' | b'y' => {
                let rest = &bytes[index..];
                if BEGINNINGS.iter().any(|beginning| rest.starts_with(beginning)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    digits >= 13 || colons >= 2 || (dots >= 3 && digits >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_is_seen() {
        for text in [
            "gob_abc",
            "sk-abc",
            "xAIza",
            "Bearer x",
            "bearer x",
            "BEARER x",
            "Basic eHg=",
            "a@b",
            "::1",
            "10.0.0.1",
            "4111 1111 1111 1111",
            "hf_abc",
            "AKIAABC",
        ] {
            assert!(may_identify(text), "{text}");
        }
        for beginning in BEGINNINGS {
            assert!(may_identify(std::str::from_utf8(beginning).unwrap()));
        }
        for text in ["", "vendor=1", "openai/gpt-4.1-mini", "12:30", "1.2.3", "00f067aa0ba902b7"] {
            assert!(!may_identify(text), "{text}");
        }
    }
}
