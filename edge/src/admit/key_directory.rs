//! The keys that an agent publishes: a JSON Web Key Set (RFC 7517) at its well-known URL.
//!
//! Source: draft-ietf-webbotauth-httpsig-protocol, "Key Distribution and Discovery", and
//! draft-meunier-webbotauth-httpsig-directory-00.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Media type of a directory, which the draft demands at the well-known URL. No other is taken, so that a JSON document
/// which happens to lie there does not become a set of keys.
pub const MEDIA_TYPE: &str = "application/http-message-signatures-directory+json";

/// The longest directory that is read, in bytes.
pub const BYTES: usize = 64 * 1024;

/// The most keys that a directory may hold, of whatever kind.
pub const KEYS: usize = 100;

/// How long a directory is fresh that does not say it, in seconds.
const DEFAULT_SECONDS: u64 = 60 * 60;
/// The least time, also for a directory that says it may not be kept: it is not fetched for every request.
const LEAST_SECONDS: u64 = 60;
/// The longest time. A withdrawn key is believed no longer than this.
const MOST_SECONDS: u64 = 24 * 60 * 60;

/// Thumbprints of keys whose private halves are printed in RFC 9421 §B.1.4 and RFC 8037 §A.1. The draft wants them
/// refused: everybody can sign with them.
const PRINTED_KEYS: [&str; 2] =
    ["poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"];

/// An agent's keys, and until when they may be used without asking again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDirectory {
    keys: Vec<Key>,
    /// Unix time in seconds.
    stale_at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// RFC 7638, in base64url.
    thumbprint: String,
    bytes: [u8; 32],
    /// Unix time in seconds, of the first second.
    not_before: i64,
    /// Unix time in seconds, of the first second after.
    expires: i64,
}

/// Why a document is no directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDirectory {
    /// Another media type, or none.
    #[error("its media type is not {MEDIA_TYPE}")]
    MediaType,
    /// Longer than [`BYTES`].
    #[error("it is longer than {BYTES} bytes")]
    TooLong,
    /// Not a JSON object with an array `keys`.
    #[error("it is not a JSON Web Key Set")]
    NotAKeySet,
    /// More than [`KEYS`].
    #[error("it holds more than {KEYS} keys")]
    TooManyKeys,
}

impl KeyDirectory {
    /// Reads a document that was fetched at `unix_seconds`, with the fields `content-type` and `cache-control` of the
    /// answer.
    ///
    /// Keys that are of another kind, not for signatures, malformed, or publicly known in full are left out.
    pub fn parse(
        body: &[u8],
        content_type: Option<&str>,
        cache_control: Option<&str>,
        unix_seconds: u64,
    ) -> Result<Self, InvalidDirectory> {
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<Value>,
        }
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(InvalidDirectory::MediaType);
        }
        if body.len() > BYTES {
            return Err(InvalidDirectory::TooLong);
        }
        let set: KeySet = serde_json::from_slice(body).map_err(|_| InvalidDirectory::NotAKeySet)?;
        if set.keys.len() > KEYS {
            return Err(InvalidDirectory::TooManyKeys);
        }
        let keys = set.keys.iter().filter_map(Key::read).collect();
        Ok(Self { keys, stale_at: unix_seconds.saturating_add(fresh_seconds(cache_control)) })
    }

    /// The Ed25519 public key with this thumbprint, if it is valid at `unix_seconds`.
    ///
    /// What a directory says a key's id is (`kid`) is not looked at: the id follows from the key.
    #[must_use]
    pub fn key(&self, key_id: &str, unix_seconds: u64) -> Option<&[u8; 32]> {
        let now = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
        let valid = |key: &&Key| key.thumbprint == key_id && key.not_before <= now && now < key.expires;
        self.keys.iter().find(valid).map(|key| &key.bytes)
    }

    /// Whether it may be used without asking again.
    #[must_use]
    pub fn is_fresh(&self, unix_seconds: u64) -> bool {
        unix_seconds < self.stale_at
    }
}

impl Key {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        // `EdDSA` and `Ed25519` are JOSE's names (RFC 8037, RFC 9864), `ed25519` is that of HTTP signatures.
        let names = |name, known: &[&str]| {
            jwk.get(name).is_none_or(|value| value.as_str().is_some_and(|value| known.contains(&value)))
        };
        if text("kty") != Some("OKP") || text("crv") != Some("Ed25519") {
            return None;
        }
        if !names("use", &["sig"]) || !names("alg", &["EdDSA", "Ed25519", "ed25519"]) {
            return None;
        }
        // Seconds, as in the draft's example. What is there and not whole seconds makes the key useless.
        let instant = |name, absent| jwk.get(name).map_or(Some(absent), Value::as_i64);
        let x = text("x")?;
        let bytes = URL_SAFE_NO_PAD.decode(x).ok()?.try_into().ok()?;
        let thumbprint = thumbprint(x);
        if PRINTED_KEYS.contains(&thumbprint.as_str()) {
            return None;
        }
        Some(Self { thumbprint, bytes, not_before: instant("nbf", i64::MIN)?, expires: instant("exp", i64::MAX)? })
    }
}

/// RFC 7638 §3 with the members of RFC 8037 §2. `x` is base64url without padding, in which a key has one form only.
fn thumbprint(x: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

fn fresh_seconds(cache_control: Option<&str>) -> u64 {
    let directives = || cache_control.unwrap_or_default().split(',').map(str::trim);
    if directives().any(|name| ["no-store", "no-cache"].iter().any(|known| known.eq_ignore_ascii_case(name))) {
        return LEAST_SECONDS;
    }
    let max_age = directives()
        .filter_map(|directive| directive.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .map(|(_, value)| value.trim_matches('"'));
    match max_age {
        None => DEFAULT_SECONDS,
        // What is too great to be read is great; what cannot be read is stale (RFC 9111 §4.2.1).
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().unwrap_or(u64::MAX).clamp(LEAST_SECONDS, MOST_SECONDS)
        }
        Some(_) => LEAST_SECONDS,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_750_000_000;
    /// A key that was served with its thumbprint as `kid`: chatgpt.com, 2025.
    const X: &str = "7F_3jDlxaquwh291MiACkcS3Opq88NksyHiakzS-Y1g";
    const THUMBPRINT: &str = "otMqcjr17mGyruktGvJU8oojQTSMHlVm7uO-lrcqbdg";

    fn parse(body: &str) -> Result<KeyDirectory, InvalidDirectory> {
        KeyDirectory::parse(body.as_bytes(), Some(MEDIA_TYPE), None, NOW)
    }

    /// Whether the key is there when its JWK has these further members.
    fn usable(members: &str) -> bool {
        let body = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{X}"{members}}}]}}"#);
        parse(&body).unwrap().key(THUMBPRINT, NOW).is_some()
    }

    #[test]
    fn a_key_is_found_by_its_thumbprint() {
        let directory = parse(&format!(
            r#"{{"keys":[
                {{"kid":"a","crv":"Ed25519","kty":"OKP","x":"{X}","use":"sig","nbf":1735689600,"exp":1754656053}}
            ],"signature_agent":"https://chatgpt.com","purpose":"ai"}}"#
        ))
        .unwrap();
        let key = directory.key(THUMBPRINT, NOW).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(key), X);
        assert_eq!(directory.key("a", NOW), None);
    }

    #[test]
    fn a_key_is_valid_from_nbf_until_exp() {
        assert!(usable("") && usable(r#","nbf":-1"#));
        assert!(usable(&format!(r#","nbf":{NOW}"#)) && !usable(&format!(r#","nbf":{}"#, NOW + 1)));
        assert!(usable(&format!(r#","exp":{}"#, NOW + 1)) && !usable(&format!(r#","exp":{NOW}"#)));
        for members in [r#","exp":"1754656053""#, r#","exp":1754656053.5"#, r#","exp":null"#, r#","nbf":1e99"#] {
            assert!(!usable(members), "{members}");
        }
    }

    #[test]
    fn a_key_for_other_uses_is_left_out() {
        for members in
            [r#","use":"sig","alg":"EdDSA","key_ops":["verify"]"#, r#","alg":"ed25519""#, r#","alg":"Ed25519""#]
        {
            assert!(usable(members), "{members}");
        }
        for members in [r#","use":"enc""#, r#","use":1"#, r#","alg":"ES256""#, r#","alg":null"#] {
            assert!(!usable(members), "{members}");
        }
    }

    #[test]
    fn other_and_broken_keys_do_not_hide_a_good_one() {
        let padded = format!("{X}=");
        for other in [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            &format!(r#"{{"kty":"EC","crv":"Ed25519","x":"{X}"}}"#),
            &format!(r#"{{"kty":"OKP","crv":"X25519","x":"{X}"}}"#),
            r#"{"kty":"OKP","crv":"Ed25519"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":1}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"AQAB"}"#,
            &format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{padded}"}}"#),
        ] {
            let directory =
                parse(&format!(r#"{{"keys":[{other},{{"kty":"OKP","crv":"Ed25519","x":"{X}"}}]}}"#)).unwrap();
            assert_eq!(directory.keys.len(), 1, "{other}");
            assert!(directory.key(THUMBPRINT, NOW).is_some());
        }
    }

    #[test]
    fn keys_that_everybody_has_are_left_out() {
        for x in ["JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"] {
            assert!(PRINTED_KEYS.contains(&thumbprint(x).as_str()), "{x}");
            let directory = parse(&format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#)).unwrap();
            assert_eq!(directory.keys, []);
        }
    }

    #[test]
    fn other_documents_are_no_directory() {
        for body in ["", "{}", "[]", "null", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[]"#, "<!doctype html>"] {
            assert_eq!(parse(body), Err(InvalidDirectory::NotAKeySet), "{body}");
        }
        assert_eq!(KeyDirectory::parse(b"\xff", Some(MEDIA_TYPE), None, NOW), Err(InvalidDirectory::NotAKeySet));
        assert_eq!(parse(r#"{"keys":[]}"#).unwrap().keys, []);
    }

    #[test]
    fn only_the_directorys_own_media_type_is_taken() {
        let with = |media_type| KeyDirectory::parse(br#"{"keys":[]}"#, media_type, None, NOW).map(|_| ());
        for good in [MEDIA_TYPE, "Application/HTTP-Message-Signatures-Directory+JSON ; charset=utf-8"] {
            assert_eq!(with(Some(good)), Ok(()), "{good}");
        }
        for bad in [
            "application/json",
            "application/jwk-set+json",
            "application/http-message-signatures-directory",
            "text/html; a=application/http-message-signatures-directory+json",
            "",
        ] {
            assert_eq!(with(Some(bad)), Err(InvalidDirectory::MediaType), "{bad}");
        }
        assert_eq!(with(None), Err(InvalidDirectory::MediaType));
    }

    #[test]
    fn the_size_is_bounded() {
        let keys = |count| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; count].join(","));
        assert!(parse(&keys(KEYS)).is_ok());
        assert_eq!(parse(&keys(KEYS + 1)), Err(InvalidDirectory::TooManyKeys));
        let padded = |length: usize| format!(r#"{{"keys":[]}}{}"#, " ".repeat(length - 11));
        assert!(parse(&padded(BYTES)).is_ok());
        assert_eq!(parse(&padded(BYTES + 1)), Err(InvalidDirectory::TooLong));
    }

    #[test]
    fn freshness_is_what_the_directory_says_within_bounds() {
        for (cache_control, seconds) in [
            (None, 3_600),
            (Some(""), 3_600),
            (Some("public"), 3_600),
            (Some("max-age=600"), 600),
            (Some("public, Max-Age=\"600\", max-age=5"), 600),
            (Some("max-age=0"), 60),
            (Some("max-age=86400"), 86_400),
            (Some("max-age=86401"), 86_400),
            (Some("max-age=99999999999999999999999"), 86_400),
            (Some("max-age=+600"), 60),
            (Some("max-age=-1"), 60),
            (Some("max-age="), 60),
            (Some("max-age=600, No-Store"), 60),
            (Some("no-cache"), 60),
        ] {
            let directory = KeyDirectory::parse(br#"{"keys":[]}"#, Some(MEDIA_TYPE), cache_control, NOW).unwrap();
            assert!(directory.is_fresh(NOW + seconds - 1), "{cache_control:?}");
            assert!(!directory.is_fresh(NOW + seconds), "{cache_control:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(
            body in prop::collection::vec(any::<u8>(), 0..200),
            content_type in "\\PC*",
            cache_control in "\\PC*",
            now: u64,
        ) {
            for content_type in [MEDIA_TYPE, &content_type] {
                let _ = KeyDirectory::parse(&body, Some(content_type), Some(&cache_control), now);
            }
        }

        #[test]
        fn no_key_makes_it_panic(
            members in prop::collection::btree_map("kty|crv|x|use|alg|nbf|exp|kid", any_value(), 0..8),
            now: u64,
        ) {
            let mut jwk = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": X });
            jwk.as_object_mut().unwrap().extend(members);
            let body = serde_json::json!({ "keys": [jwk] }).to_string();
            let directory = KeyDirectory::parse(body.as_bytes(), Some(MEDIA_TYPE), None, now).unwrap();
            let _ = directory.key(THUMBPRINT, now);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[A-Za-z0-9_-]{0,50}".prop_map(Value::from),
            "OKP|Ed25519|EdDSA|sig".prop_map(Value::from),
            Just(Value::Null),
        ]
    }
}
