//! Named query parameters (RFC 9421 §2.2.8): parsed as HTML forms are (URL Standard §5.1), then encoded again.

use std::fmt::Write;

/// Values of the query parameters of a name, in order and encoded. The name is compared in its encoded form, too.
pub(super) fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(move |(found, _)| encoded(&decoded(found)) == name)
        .map(|(_, value)| encoded(&decoded(value)))
}

/// Plus signs are spaces; percent signs that no byte follows stand for themselves; what is not UTF-8 is replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = || Some((hex_digit(*after.first()?)? << 4) | hex_digit(*after.get(1)?)?);
        let (byte, length) = match first {
            b'+' => (b' ', 1),
            b'%' => escaped().map_or((b'%', 1), |byte| (byte, 3)),
            other => (other, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// With the form percent-encode set (URL Standard §1.3); a space is `%20`, as RFC 9421's examples have it.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(query: &str, name: &str) -> Vec<String> {
        values(query, name).collect()
    }

    #[test]
    fn parameters_are_found_by_name() {
        assert_eq!(all("a=1&b=2&a=3", "a"), ["1", "3"]);
        assert_eq!(all("&&a&b==", "a"), [""]);
        assert_eq!(all("&&a&b==", "b"), ["%3D"]);
        assert!(all("a=1", "b").is_empty() && all("", "").is_empty());
        assert_eq!(all("=x", ""), ["x"]);
    }

    #[test]
    fn spellings_of_one_value_are_one() {
        for query in ["n%61me=a b", "name=a+b", "name=a%20b"] {
            assert_eq!(all(query, "name"), ["a%20b"], "{query}");
        }
        // Names are compared as encoded.
        assert_eq!(all("a+b=1", "a%20b"), ["1"]);
        assert!(all("a+b=1", "a b").is_empty());
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(all("a=%&b=%4&c=%4x&d=%c3", "a"), ["%25"]);
        assert_eq!(all("a=%&b=%4&c=%4x&d=%c3", "b"), ["%254"]);
        assert_eq!(all("a=%&b=%4&c=%4x&d=%c3", "c"), ["%254x"]);
        assert_eq!(all("a=%&b=%4&c=%4x&d=%c3", "d"), ["%EF%BF%BD"]);
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(text in "\\PC*") {
            prop_assert_eq!(decoded(&encoded(&text)), text);
        }

        #[test]
        fn decoding_never_panics(text in "[%+a-fA-F0-9éx]*") {
            decoded(&text);
        }
    }
}
