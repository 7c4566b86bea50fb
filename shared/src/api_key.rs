//! API keys that the edge can tell genuine without asking anybody.
//!
//! `gob_` + 12 base62 characters (the id) + `_` + 32 base62 (the secret) + 8 base62 (the tag). The tag is HMAC-SHA256
//! over id and secret with the issuer's secret, cut to 8 characters (47.6 bits): whoever lacks the issuer's secret makes
//! a key that passes once in 2 · 10^14 tries, each of them a request. Whether a genuine key is still valid, and whose it
//! is, only the backend knows.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::edge_signature::SECRET_BYTES;

/// What every key begins with. Credentials that begin otherwise are none of ours.
pub const PREFIX: &str = "gob_";
const ID: usize = 12;
const SECRET: usize = 32;
const TAG: usize = 8;
const LENGTH: usize = PREFIX.len() + ID + 1 + SECRET + TAG;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes that a new key needs. They are read as whole numbers modulo a power of 62 that is smaller by a factor
/// of 2^32 at least, so that no character is likelier than another by more than that.
pub type Entropy = [u8; 48];

/// What genuine keys are made and told with; edge and backend share it.
#[derive(Clone)]
pub struct IssuerSecret(Vec<u8>);

/// The secret is easily guessed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an issuer secret must have at least {SECRET_BYTES} characters and no comma, for example from `openssl rand -hex 32`"
)]
pub struct InvalidIssuerSecret;

impl FromStr for IssuerSecret {
    type Err = InvalidIssuerSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() < SECRET_BYTES || text.contains(',') {
            return Err(InvalidIssuerSecret);
        }
        Ok(Self(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for IssuerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerSecret(…)")
    }
}

/// A key that its issuer made.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text is not a key of ours. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApiKey {
    /// Other lengths or characters than a key has: perhaps it was cut while copying.
    #[error("it does not have the form of an API key")]
    Malformed,
    /// The tag belongs to another id, secret or issuer.
    #[error("it was not issued here")]
    Forged,
}

impl ApiKey {
    /// Makes a key from fresh random bytes.
    #[must_use]
    pub fn mint(issuer: &IssuerSecret, random: &Entropy) -> Self {
        let mut id = String::with_capacity(ID);
        push_base62(&mut id, number(&random[..16]), ID);
        Self::assemble(issuer, &id, random)
    }

    /// Makes a key with this id and a fresh secret: the successor of the one that has the id. `None`: it is no id.
    #[must_use]
    pub fn mint_successor(issuer: &IssuerSecret, id: &str, random: &Entropy) -> Option<Self> {
        let formed = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        formed.then(|| Self::assemble(issuer, id, random))
    }

    fn assemble(issuer: &IssuerSecret, id: &str, random: &Entropy) -> Self {
        let mut key = String::with_capacity(LENGTH);
        key.extend([PREFIX, id, "_"]);
        for half in random[16..].chunks_exact(16) {
            push_base62(&mut key, number(half), SECRET / 2);
        }
        let digest = mac(issuer, key.as_bytes()).finalize().into_bytes();
        push_base62(&mut key, number(&digest[..16]), TAG);
        Self(key)
    }

    /// Tells whether one of `issuers` made this key. All of them are tried in time that does not depend on the tag.
    pub fn check(text: &str, issuers: &[IssuerSecret]) -> Result<Self, InvalidApiKey> {
        let bytes = text.as_bytes();
        let digits = |range: &[u8]| range.iter().all(u8::is_ascii_alphanumeric);
        let id_end = PREFIX.len() + ID;
        let formed = bytes.len() == LENGTH
            && text.starts_with(PREFIX)
            && bytes[id_end] == b'_'
            && digits(&bytes[PREFIX.len()..id_end])
            && digits(&bytes[id_end + 1..]);
        if !formed {
            return Err(InvalidApiKey::Malformed);
        }
        let (signed, tag) = bytes.split_at(LENGTH - TAG);
        let mut genuine = false;
        for issuer in issuers {
            let mut expected = String::with_capacity(TAG);
            push_base62(&mut expected, number(&mac(issuer, signed).finalize().into_bytes()[..16]), TAG);
            let differences = expected.bytes().zip(tag).fold(0, |all, (one, other)| all | (one ^ other));
            genuine |= std::hint::black_box(differences) == 0;
        }
        if genuine { Ok(Self(text.to_owned())) } else { Err(InvalidApiKey::Forged) }
    }

    /// The key as its holder has it: secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Which key it is; not secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID]
    }

    /// What its holder proves to know, tag excluded: secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0[LENGTH - TAG - SECRET..LENGTH - TAG]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({PREFIX}{}_…)", self.id())
    }
}

fn mac(issuer: &IssuerSecret, signed: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&issuer.0).unwrap_or_else(|_| unreachable!("any length is a key"));
    mac.update(signed);
    mac
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

fn push_base62(text: &mut String, mut number: u128, digits: usize) {
    for _ in 0..digits {
        let digit = usize::try_from(number % 62).unwrap_or_else(|_| unreachable!("less than 62"));
        text.push(char::from(BASE62[digit]));
        number /= 62;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn issuer(letter: char) -> IssuerSecret {
        letter.to_string().repeat(32).parse().unwrap()
    }

    fn entropy(seed: u8) -> Entropy {
        std::array::from_fn(|index| seed.wrapping_mul(31).wrapping_add(u8::try_from(index).unwrap().wrapping_mul(97)))
    }

    #[test]
    fn a_minted_key_has_the_form_and_is_genuine() {
        let key = ApiKey::mint(&issuer('a'), &entropy(1));
        assert_eq!(key.expose().len(), 57);
        assert_eq!(key.expose(), format!("gob_{}_{}{}", key.id(), key.secret(), &key.expose()[49..]));
        assert_eq!((key.id().len(), key.secret().len()), (12, 32));
        assert_eq!(ApiKey::check(key.expose(), &[issuer('b'), issuer('a')]).unwrap(), key);
        assert_eq!(ApiKey::check(key.expose(), &[issuer('b')]), Err(InvalidApiKey::Forged));
        assert_eq!(ApiKey::check(key.expose(), &[]), Err(InvalidApiKey::Forged));
    }

    #[test]
    fn a_successor_has_the_id_and_another_secret() {
        let key = ApiKey::mint(&issuer('a'), &entropy(1));
        let next = ApiKey::mint_successor(&issuer('a'), key.id(), &entropy(2)).unwrap();
        assert_eq!(next.id(), key.id());
        assert_ne!(next.secret(), key.secret());
        assert_eq!(ApiKey::check(next.expose(), &[issuer('a')]).unwrap(), next);
        for no_id in ["", "short", "0123456789ab_", "0123456789é", "0123456789a_"] {
            assert_eq!(ApiKey::mint_successor(&issuer('a'), no_id, &entropy(2)), None, "{no_id}");
        }
    }

    #[test]
    fn what_is_written_down_of_a_key_is_not_secret() {
        let key = ApiKey::mint(&issuer('a'), &entropy(2));
        let shown = format!("{key:?}{:?}", issuer('s'));
        assert!(shown.contains(key.id()) && !shown.contains(key.secret()) && !shown.contains("sss"), "{shown}");
    }

    #[test]
    fn every_change_of_one_character_is_noticed() {
        let key = ApiKey::mint(&issuer('a'), &entropy(3)).expose().to_owned();
        for index in 0..key.len() {
            for other in ['0', 'Z', '_', 'é'] {
                let changed = format!("{}{other}{}", &key[..index], &key[index + 1..]);
                assert_eq!(ApiKey::check(&changed, &[issuer('a')]).is_ok(), changed == key, "{changed}");
            }
        }
    }

    #[test]
    fn other_forms_are_no_keys() {
        let key = ApiKey::mint(&issuer('a'), &entropy(4)).expose().to_owned();
        for text in ["", "gob_", "gob_x", "sk-abc", &key[1..], &key[..56], &format!("{key}0"), &key.to_uppercase()] {
            assert_eq!(ApiKey::check(text, &[issuer('a')]), Err(InvalidApiKey::Malformed), "{text}");
        }
    }

    #[test]
    fn characters_are_evenly_spread() {
        let mut seen = HashSet::new();
        let mut ids = HashSet::new();
        for seed in 0..=255 {
            let key = ApiKey::mint(&issuer('a'), &entropy(seed));
            ids.insert(key.id().to_owned());
            seen.extend(key.secret().chars());
        }
        assert_eq!((ids.len(), seen.len()), (256, 62));
    }

    #[test]
    fn short_issuer_secrets_are_refused() {
        assert_eq!("short".parse::<IssuerSecret>().unwrap_err(), InvalidIssuerSecret);
        assert!(format!(" {} ", "x".repeat(32)).parse::<IssuerSecret>().is_ok());
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_key_by_chance(text in "(gob_)?\\PC{0,60}") {
            prop_assert!(ApiKey::check(&text, &[issuer('a')]).is_err());
        }

        #[test]
        fn minted_keys_are_genuine(random in prop::array::uniform32(any::<u8>()), more in prop::array::uniform16(any::<u8>())) {
            let mut entropy = [0; 48];
            entropy[..32].copy_from_slice(&random);
            entropy[32..].copy_from_slice(&more);
            let key = ApiKey::mint(&issuer('k'), &entropy);
            prop_assert_eq!(ApiKey::check(key.expose(), &[issuer('k')]), Ok(key));
        }
    }
}
