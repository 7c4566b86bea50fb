//! The signature with which the edge vouches for what it adds to a request.
//!
//! `v1;k=<key id>;t=<unix s>;h=<hex>`, where `h` is HMAC-SHA256 over method, path with query, `t`, request id,
//! attempt, route, client facts and traceparent, each with its length before it, so that no two heads share a text.
//! The body is outside it on purpose: it is never pumped through the edge for this.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shortest secret that is taken, in bytes: the length of the digest, as RFC 2104 advises.
pub const SECRET_BYTES: usize = 32;

/// A key that edge and backend share. Two may be valid at a time, for rotation: the id says which one signed.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    secret: Vec<u8>,
}

/// Why a text is not a signing key. Never holds the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningKey {
    /// No colon, or an id with other characters or lengths.
    #[error("write it as <id>:<secret>, the id being 1 to 32 of A-Z a-z 0-9 _ -")]
    Id,
    /// Easily guessed.
    #[error("the secret must have at least {SECRET_BYTES} characters, for example from `openssl rand -hex 32`")]
    ShortSecret,
}

impl FromStr for SigningKey {
    type Err = InvalidSigningKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, secret) = text.trim().split_once(':').ok_or(InvalidSigningKey::Id)?;
        let id_characters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !id_characters || !(1..=32).contains(&id.len()) {
            return Err(InvalidSigningKey::Id);
        }
        if secret.len() < SECRET_BYTES {
            return Err(InvalidSigningKey::ShortSecret);
        }
        Ok(Self { id: id.to_owned(), secret: secret.as_bytes().to_vec() })
    }
}

impl SigningKey {
    /// Which key it is; not secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl SigningKey {
    /// Another secret for another purpose, from which this one cannot be told.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).unwrap_or_else(|_| unreachable!("any length is a key"));
        mac.update(b"derive ");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}:…)", self.id)
    }
}

/// What is signed: everything that the backend believes because the edge said it.
#[derive(Clone, Copy, Debug)]
pub struct SignedHead<'a> {
    /// HTTP method, upper case.
    pub method: &'a str,
    /// Path with its query, as on the request line.
    pub path_and_query: &'a str,
    /// The field `x-goblin-request-id`.
    pub request_id: &'a str,
    /// The field `x-goblin-attempt`.
    pub attempt: &'a str,
    /// The field `x-goblin-route`; empty on requests that need no plan.
    pub route: &'a str,
    /// The field `x-goblin-client`; empty when nothing is known.
    pub client: &'a str,
    /// The field `traceparent`.
    pub traceparent: &'a str,
}

impl SignedHead<'_> {
    /// The texts before the time of signing, and those after it.
    fn texts(&self) -> ([&str; 2], [&str; 5]) {
        ([self.method, self.path_and_query], [self.request_id, self.attempt, self.route, self.client, self.traceparent])
    }

    /// The value of `x-goblin-edge-signature`, made at `unix_seconds`.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, unix_seconds: u64) -> String {
        let (before, after) = self.texts();
        sign(&before, &after, key, unix_seconds)
    }

    /// Checks a value of `x-goblin-edge-signature` at `unix_seconds`, which may differ from the time of signing by up
    /// to `skew_seconds` either way. Comparison takes constant time. Replays are the caller's to find.
    pub fn verify(
        &self,
        field: &str,
        keys: &[SigningKey],
        unix_seconds: u64,
        skew_seconds: u64,
    ) -> Result<(), InvalidEdgeSignature> {
        let (before, after) = self.texts();
        verify(&before, &after, field, keys, unix_seconds, skew_seconds)
    }
}

/// The texts, with the time of signing between them, each with its length before it.
fn digest(before: &[&str], unix_seconds: &str, after: &[&str], key: &SigningKey) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).unwrap_or_else(|_| unreachable!("any length is a key"));
    for text in before.iter().chain([&unix_seconds]).chain(after) {
        mac.update(&(text.len() as u64).to_be_bytes());
        mac.update(text.as_bytes());
    }
    mac
}

/// Signs texts in the form above. What else than a head is signed must begin with texts that no head begins with.
pub(crate) fn sign(before: &[&str], after: &[&str], key: &SigningKey, unix_seconds: u64) -> String {
    let time = unix_seconds.to_string();
    let digest = hex::encode(digest(before, &time, after, key).finalize().into_bytes());
    format!("v1;k={};t={time};h={digest}", key.id)
}

/// Checks what [`sign`] made.
pub(crate) fn verify(
    before: &[&str],
    after: &[&str],
    field: &str,
    keys: &[SigningKey],
    unix_seconds: u64,
    skew_seconds: u64,
) -> Result<(), InvalidEdgeSignature> {
    let Written { key_id, time, digest: expected } = Written::read(field).ok_or(InvalidEdgeSignature::Malformed)?;
    let expected = read_digest(expected).ok_or(InvalidEdgeSignature::Malformed)?;
    let signed_at: u64 = time.parse().map_err(|_| InvalidEdgeSignature::Malformed)?;
    let key = keys.iter().find(|key| key.id == key_id).ok_or(InvalidEdgeSignature::UnknownKey)?;
    digest(before, time, after, key).verify_slice(&expected).map_err(|_| InvalidEdgeSignature::Mismatch)?;
    // Last, so that the answer tells a stranger nothing about clocks.
    if signed_at.abs_diff(unix_seconds) > skew_seconds {
        return Err(InvalidEdgeSignature::Expired);
    }
    Ok(())
}

/// The id of the key that a signature of this form names. Believe it only of one that was verified.
#[must_use]
pub fn key_id(field: &str) -> Option<&str> {
    Written::read(field).map(|written| written.key_id)
}

/// The parts of a signature, as they are written.
struct Written<'a> {
    key_id: &'a str,
    time: &'a str,
    digest: &'a str,
}

impl<'a> Written<'a> {
    fn read(field: &'a str) -> Option<Self> {
        let mut parts = field.split(';');
        let mut next = |prefix: &str| parts.next().and_then(|part| part.strip_prefix(prefix));
        let written =
            next("v1")?.is_empty().then_some(Self { key_id: next("k=")?, time: next("t=")?, digest: next("h=")? });
        written.filter(|_| parts.next().is_none())
    }
}

/// The hexadecimal text of a digest.
pub(crate) fn read_digest(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(hexadecimal, &mut digest).ok().map(|()| digest)
}

/// Why a signature is not believed. For logs: clients are told only that it is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEdgeSignature {
    /// Not of the form.
    #[error("malformed")]
    Malformed,
    /// Signed by a key that is not configured here.
    #[error("unknown key id")]
    UnknownKey,
    /// Something that is signed was changed, or the secret is another.
    #[error("mismatch")]
    Mismatch,
    /// Signed too long ago, or clocks differ too much.
    #[error("outside the allowed clock skew")]
    Expired,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(id: &str) -> SigningKey {
        format!("{id}:{}", id.repeat(SECRET_BYTES)).parse().unwrap()
    }

    fn head<'a>() -> SignedHead<'a> {
        SignedHead {
            method: "POST",
            path_and_query: "/v1/chat/completions?a=b",
            request_id: "id",
            attempt: "1",
            route: "\"demo/goblin-demo\";v=\"1\"",
            client: "country=DE",
            traceparent: "00-…",
        }
    }

    #[test]
    fn a_signature_is_believed_by_who_holds_the_key() {
        let field = head().sign(&key("b"), NOW);
        assert_eq!(head().verify(&field, &[key("a"), key("b")], NOW + 60, 60), Ok(()));
        assert_eq!((key_id(&field), key_id(&field[1..])), (Some("b"), None));
        assert_eq!(head().verify(&field, &[key("a")], NOW, 60), Err(InvalidEdgeSignature::UnknownKey));
    }

    #[test]
    fn age_is_bounded_both_ways() {
        let field = head().sign(&key("a"), NOW);
        for now in [NOW - 61, NOW + 61] {
            assert_eq!(head().verify(&field, &[key("a")], now, 60), Err(InvalidEdgeSignature::Expired));
        }
    }

    #[test]
    fn every_part_is_signed() {
        let field = head().sign(&key("a"), NOW);
        let altered = [
            SignedHead { method: "GET", ..head() },
            SignedHead { path_and_query: "/v1/chat/completions", ..head() },
            SignedHead { request_id: "other", ..head() },
            SignedHead { attempt: "2", ..head() },
            SignedHead { route: "\"openai/gpt-4.1\";v=\"1\"", ..head() },
            SignedHead { client: "", ..head() },
            SignedHead { traceparent: "", ..head() },
            // The same characters, divided differently.
            SignedHead { request_id: "id1", attempt: "", ..head() },
        ];
        for head in altered {
            assert_eq!(head.verify(&field, &[key("a")], NOW, 60), Err(InvalidEdgeSignature::Mismatch), "{head:?}");
        }
        let later = field.replace(&NOW.to_string(), &(NOW + 1).to_string());
        assert_eq!(head().verify(&later, &[key("a")], NOW, 60), Err(InvalidEdgeSignature::Mismatch));
    }

    #[test]
    fn other_forms_are_malformed() {
        let good = head().sign(&key("a"), NOW);
        for field in ["", "v1", "v2;k=a;t=1;h=00", &good[..good.len() - 2], &format!("{good};x=1"), &format!(" {good}")]
        {
            assert_eq!(head().verify(field, &[key("a")], NOW, 60), Err(InvalidEdgeSignature::Malformed), "{field}");
        }
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        assert_eq!("nocolon".parse::<SigningKey>().unwrap_err(), InvalidSigningKey::Id);
        assert_eq!("a b:secret".parse::<SigningKey>().unwrap_err(), InvalidSigningKey::Id);
        assert_eq!("a:short".parse::<SigningKey>().unwrap_err(), InvalidSigningKey::ShortSecret);
        assert_eq!(format!("{:?}", key("a")), "SigningKey(a:…)");
    }

    proptest! {
        #[test]
        fn verifying_never_panics(field in "\\PC*") {
            let _ = head().verify(&field, &[key("a")], NOW, 60);
        }
    }
}
