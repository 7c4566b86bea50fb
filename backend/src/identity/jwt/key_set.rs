//! An issuer's public keys.

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Keys that are looked at at most.
const KEYS: usize = 100;

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// The keys that can be used for signatures, each with what it is for.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: Arc<DecodingKey>,
}

/// The key that a token says it is signed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// By its name, where it says one.
    pub(super) kid: Option<&'a str>,
    /// For this.
    pub(super) algorithm: Algorithm,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys that cannot be read or are for something else are passed over, as RFC 7517, section 5, has it.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(body).ok()?;
        let read = |value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            let algorithms = algorithms(&jwk);
            let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
            Some(Entry { kid: jwk.common.key_id, algorithms, key: Arc::new(key) })
        };
        Some(Self(document.keys.into_iter().take(KEYS).filter_map(read).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that is wanted, if its kind fits. Without a name there must be one key alone that fits.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Option<Arc<DecodingKey>> {
        let mut fitting = self.0.iter().filter(|entry| entry.algorithms.contains(&wanted.algorithm));
        match wanted.kid {
            Some(kid) => fitting.find(|entry| entry.kid.as_deref() == Some(kid)).map(|entry| entry.key.clone()),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Some(only.key.clone()),
                _ => None,
            },
        }
    }
}

/// What a key is for: what its kind allows, less what it says itself. Symmetric keys are for nothing.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let common = &jwk.common;
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !is_for_signatures {
        return Vec::new();
    }
    let by_kind: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &RSA,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => &[],
    };
    let said = common.key_algorithm;
    let fits = |algorithm: &Algorithm| said.is_none_or(|said| said == KeyAlgorithm::from(*algorithm));
    by_kind.iter().copied().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn found(keys: &Value, kid: Option<&str>, algorithm: Algorithm) -> bool {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        set.find(&Wanted { kid, algorithm }).is_some()
    }

    #[test]
    fn keys_are_for_what_their_kind_and_they_themselves_say() {
        let rsa = json!({ "kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB" });
        let ec = json!({ "kty": "EC", "kid": "e", "crv": "P-256", "x": "AQAB", "y": "AQAB" });
        let ed = json!({ "kty": "OKP", "kid": "d", "crv": "Ed25519", "x": "AQAB" });
        let secret = json!({ "kty": "oct", "kid": "s", "k": "AQAB" });
        let keys = json!([rsa, ec, ed, secret, { "kty": "new" }, 1]);
        for (kid, right) in [("r", &RSA[..]), ("e", &[Algorithm::ES256]), ("d", &[Algorithm::EdDSA]), ("s", &[])] {
            for algorithm in RSA.into_iter().chain([
                Algorithm::HS256,
                Algorithm::HS512,
                Algorithm::ES256,
                Algorithm::ES384,
                Algorithm::EdDSA,
            ]) {
                assert_eq!(found(&keys, Some(kid), algorithm), right.contains(&algorithm), "{kid} {algorithm:?}");
            }
        }
        for (member, value, counts) in [
            ("alg", json!("RS256"), true),
            ("alg", json!("PS256"), false),
            ("alg", json!("HS256"), false),
            ("use", json!("sig"), true),
            ("use", json!("enc"), false),
            ("key_ops", json!(["verify"]), true),
            ("key_ops", json!(["encrypt"]), false),
        ] {
            let mut key = rsa.clone();
            key[member] = value;
            assert_eq!(found(&json!([key]), Some("r"), Algorithm::RS256), counts, "{key}");
        }
    }

    #[test]
    fn a_token_without_the_name_of_a_key_needs_there_to_be_one_only() {
        let rsa = |kid: &str| json!({ "kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB" });
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB" });
        assert!(found(&json!([rsa("a"), ec]), None, Algorithm::RS256));
        assert!(!found(&json!([rsa("a"), rsa("b")]), None, Algorithm::RS256));
        assert!(!found(&json!([rsa("a"), ec]), Some("b"), Algorithm::RS256));
        assert!(!found(&json!([ec]), Some("a"), Algorithm::ES256));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = KeySet::parse(text.as_bytes());
            let _ = KeySet::parse(format!("{{\"keys\":[{text}]}}").as_bytes());
        }
    }
}
