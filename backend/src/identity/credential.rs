//! What a request shows of who sends it.

use goblin_shared::api_key;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::monitoring::metrics::AuthMethod;

/// Where Anthropic's SDKs put their key.
const X_API_KEY: &str = "x-api-key";

/// The credential of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    /// None.
    None,
    /// It begins as our keys do.
    ApiKey(&'a str),
    /// Anything else: a token, if it is one.
    Other(&'a str),
}

/// What was sent is no credential that could be judged. It never holds what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct UnusableCredential {
    /// What it seems to be.
    pub(crate) method: AuthMethod,
    /// What is wrong with it, in a sentence for the client.
    pub(crate) why: &'static str,
}

const NOT_BEARER: &str = "The field `authorization` must be `Bearer` and the credential.";
const NOT_TEXT: &str = "The credential has characters that no API key and no token has.";
const SEVERAL: &str = "The request has two different credentials; send one.";

/// Reads `authorization: Bearer …` and `x-api-key`. Both may be given when they say the same; of two nobody could say
/// whose the request is.
pub(crate) fn read(headers: &HeaderMap) -> Result<Credential<'_>, UnusableCredential> {
    let mut found: Option<&str> = None;
    for (name, is_bearer) in [(AUTHORIZATION.as_str(), true), (X_API_KEY, false)] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| unusable(found, NOT_TEXT))?.trim_matches([' ', '\t']);
            if text.is_empty() {
                continue;
            }
            let credential =
                if is_bearer { after_bearer(text).ok_or_else(|| unusable(found, NOT_BEARER))? } else { text };
            if !credential.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(unusable(Some(credential), NOT_TEXT));
            }
            match found {
                Some(other) if other != credential => {
                    // By the one of the two that would be ours.
                    let ours = [other, credential].into_iter().find(|one| one.starts_with(api_key::PREFIX));
                    return Err(unusable(ours.or(found), SEVERAL));
                }
                _ => found = Some(credential),
            }
        }
    }
    Ok(match found {
        None => Credential::None,
        Some(key) if key.starts_with(api_key::PREFIX) => Credential::ApiKey(key),
        Some(other) => Credential::Other(other),
    })
}

/// What stands after the scheme, whose name has no case (RFC 9110, section 11.1).
fn after_bearer(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once([' ', '\t'])?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim_start_matches([' ', '\t']))
}

fn unusable(credential: Option<&str>, why: &'static str) -> UnusableCredential {
    let method = match credential {
        None => AuthMethod::None,
        Some(key) if key.starts_with(api_key::PREFIX) => AuthMethod::ApiKey,
        Some(_) => AuthMethod::Jwt,
    };
    UnusableCredential { method, why }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn credentials_are_found_in_both_fields() {
        for (fields, expected) in [
            (&[][..], Credential::None),
            (&[("authorization", ""), ("x-api-key", " ")], Credential::None),
            (&[("authorization", "Bearer gob_1")], Credential::ApiKey("gob_1")),
            (&[("authorization", "bearer \t gob_1")], Credential::ApiKey("gob_1")),
            (&[("x-api-key", " gob_1 ")], Credential::ApiKey("gob_1")),
            (&[("x-api-key", "a.b.c")], Credential::Other("a.b.c")),
            (&[("authorization", "Bearer a.b.c")], Credential::Other("a.b.c")),
            (&[("authorization", "Bearer gob_1"), ("x-api-key", "gob_1")], Credential::ApiKey("gob_1")),
        ] {
            assert!(read(&headers(fields)) == Ok(expected), "{fields:?}");
        }
    }

    #[test]
    fn what_nobody_could_judge_is_refused() {
        for (fields, method, why) in [
            (&[("authorization", "gob_1")][..], AuthMethod::None, NOT_BEARER),
            (&[("authorization", "Basic Z29iXzE=")], AuthMethod::None, NOT_BEARER),
            (&[("authorization", "Bearer a b")], AuthMethod::Jwt, NOT_TEXT),
            (&[("authorization", "Bearer é")], AuthMethod::None, NOT_TEXT),
            (&[("authorization", "Bearer gob_1"), ("x-api-key", "gob_2")], AuthMethod::ApiKey, SEVERAL),
            (&[("authorization", "Bearer a"), ("x-api-key", "gob_2")], AuthMethod::ApiKey, SEVERAL),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer b")], AuthMethod::Jwt, SEVERAL),
        ] {
            assert!(read(&headers(fields)) == Err(UnusableCredential { method, why }), "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(one in prop::collection::vec(32_u8..=255, 0..40), other in prop::collection::vec(32_u8..=255, 0..40)) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("authorization", one), ("x-api-key", other)] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.insert(name, value);
                }
            }
            let _ = read(&headers);
        }
    }
}
