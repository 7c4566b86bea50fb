//! The grant with which a client has its requests traced and their routes explained: the field `trace-grant`.
//!
//! `v1;exp=<unix s>;h=<hex>`, where `h` is HMAC-SHA256 over `v1;exp=<unix s>`, keyed with a secret derived from the key
//! that edge and backend share. Whoever holds it may use it until it expires.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::edge_signature::{SigningKey, read_digest};

/// Longest time that a grant is good for, in seconds: 30 days. One day more is taken, as clocks differ.
pub const LONGEST_SECONDS: u64 = 30 * DAY;

const DAY: u64 = 86_400;

/// Most digits of a time: enough for 30,000 years.
const TIME_DIGITS: usize = 12;

/// Why a grant is not believed. For logs: clients get no word of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceGrant {
    /// Not of the form.
    #[error("malformed")]
    Malformed,
    /// Changed, or made with another key.
    #[error("mismatch")]
    Mismatch,
    /// Its time is over, or further ahead than any grant's may be.
    #[error("expired, or good for longer than a grant may be")]
    Expired,
}

/// Makes a grant that is good until `expires_unix_seconds`, which must be at most [`LONGEST_SECONDS`] ahead.
#[must_use]
pub fn mint(key: &SigningKey, expires_unix_seconds: u64) -> String {
    let signed = format!("v1;exp={expires_unix_seconds}");
    let digest = hex::encode(digest(key, &signed).finalize().into_bytes());
    format!("{signed};h={digest}")
}

/// Checks a value of `trace-grant` at `unix_seconds`. Comparison takes constant time.
pub fn verify(field: &str, key: &SigningKey, unix_seconds: u64) -> Result<(), InvalidTraceGrant> {
    let (signed, expected) = field.split_once(";h=").ok_or(InvalidTraceGrant::Malformed)?;
    let time = signed.strip_prefix("v1;exp=").ok_or(InvalidTraceGrant::Malformed)?;
    // `parse` would take a sign.
    if time.len() > TIME_DIGITS || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidTraceGrant::Malformed);
    }
    let expires: u64 = time.parse().map_err(|_| InvalidTraceGrant::Malformed)?;
    let expected = read_digest(expected).ok_or(InvalidTraceGrant::Malformed)?;
    digest(key, signed).verify_slice(&expected).map_err(|_| InvalidTraceGrant::Mismatch)?;
    // Last, so that the answer tells a stranger nothing about clocks.
    let left = expires.checked_sub(unix_seconds).filter(|left| (1..=LONGEST_SECONDS + DAY).contains(left));
    left.map(drop).ok_or(InvalidTraceGrant::Expired)
}

fn digest(key: &SigningKey, signed: &str) -> Hmac<Sha256> {
    let secret = key.derive("trace-grant");
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap_or_else(|_| unreachable!("any length is a key"));
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edge_signature::SECRET_BYTES;

    const NOW: u64 = 1_800_000_000;

    fn key(id: &str) -> SigningKey {
        format!("{id}:{}", id.repeat(SECRET_BYTES)).parse().unwrap()
    }

    #[test]
    fn a_grant_is_good_until_it_expires() {
        let grant = mint(&key("a"), NOW + 3_600);
        assert!(grant.starts_with("v1;exp=1800003600;h="), "{grant}");
        for (now, verdict) in [
            (NOW, Ok(())),
            (NOW + 3_599, Ok(())),
            (NOW + 3_600, Err(InvalidTraceGrant::Expired)),
            (NOW + 3_600 - LONGEST_SECONDS - DAY, Ok(())),
            (NOW + 3_599 - LONGEST_SECONDS - DAY, Err(InvalidTraceGrant::Expired)),
        ] {
            assert_eq!(verify(&grant, &key("a"), now), verdict, "{now}");
        }
    }

    #[test]
    fn nobody_else_can_make_one() {
        let grant = mint(&key("a"), NOW + 60);
        assert_eq!(verify(&grant, &key("b"), NOW), Err(InvalidTraceGrant::Mismatch));
        let longer = grant.replace(&(NOW + 60).to_string(), &(NOW + 61).to_string());
        assert_eq!(verify(&longer, &key("a"), NOW), Err(InvalidTraceGrant::Mismatch));
    }

    #[test]
    fn other_forms_are_malformed() {
        let good = mint(&key("a"), NOW + 60);
        let digest = &good[good.len() - 64..];
        for field in [
            "",
            "v1",
            &good[1..],
            &good[..good.len() - 2],
            &format!("{good};x=1"),
            &format!(" {good}"),
            &format!("v2;exp=1;h={digest}"),
            &format!("v1;exp=;h={digest}"),
            &format!("v1;exp=+1800000060;h={digest}"),
            &format!("v1;exp=-1;h={digest}"),
            &format!("v1;exp=1 ;h={digest}"),
            &format!("v1;exp=1234567890123;h={digest}"),
            &format!("v1;exp=١;h={digest}"),
        ] {
            assert_eq!(verify(field, &key("a"), NOW), Err(InvalidTraceGrant::Malformed), "{field}");
        }
    }

    proptest! {
        #[test]
        fn verifying_never_panics(field in "(v1;exp=)?\\PC*") {
            prop_assert!(verify(&field, &key("a"), NOW).is_err());
        }

        #[test]
        fn what_is_minted_is_believed(seconds in 1..=LONGEST_SECONDS, now in 0_u64..=99_999_999_999) {
            prop_assert_eq!(verify(&mint(&key("a"), now + seconds), &key("a"), now), Ok(()));
        }
    }
}
