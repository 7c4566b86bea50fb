//! What a request shows of who sends it.

use goblin_shared::api_key::{ApiKey, InvalidApiKey, IssuerSecret, PREFIX};

use crate::facts::RequestFacts;

/// The credential of a request, as far as the edge can judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// None at all.
    Anonymous,
    /// One that only the backend can judge, such as a JWT.
    Foreign,
    /// An API key that was issued here. Whether it is still valid the backend knows.
    Genuine(ApiKey),
}

/// Reads `authorization: Bearer …` and `x-api-key`. What begins as our keys do must be genuine wherever it stands, and the
/// only credential; what does not is another's to judge.
pub fn read(facts: &RequestFacts, issuers: &[IssuerSecret]) -> Result<Credential, InvalidApiKey> {
    let mut genuine: Option<ApiKey> = None;
    let mut is_foreign = false;
    for (field, wants_bearer) in [("authorization", true), ("x-api-key", false)] {
        let words: Vec<&str> = facts.header(field).unwrap_or_default().split([' ', '\t', ',']).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let (scheme, rest) = match words.as_slice() {
            [scheme, rest @ ..] if wants_bearer => (Some(*scheme), rest),
            rest => (None, rest),
        };
        let is_bearer = scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case("bearer"));
        if words.iter().any(|word| word.starts_with(PREFIX)) {
            // One key and nothing else, in its place: of two credentials nobody could say whose the request is.
            let ([key], true) = (rest, is_bearer) else { return Err(InvalidApiKey::Malformed) };
            let key = ApiKey::check(key, issuers)?;
            if genuine.as_ref().is_some_and(|other| *other != key) {
                return Err(InvalidApiKey::Malformed);
            }
            genuine = Some(key);
        } else if !rest.is_empty() {
            is_foreign = true;
        }
    }
    match (genuine, is_foreign) {
        (Some(_), true) => Err(InvalidApiKey::Malformed),
        (Some(key), false) => Ok(Credential::Genuine(key)),
        (None, true) => Ok(Credential::Foreign),
        (None, false) => Ok(Credential::Anonymous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(letter: &str) -> IssuerSecret {
        letter.repeat(32).parse().unwrap()
    }

    fn key(seed: u8) -> ApiKey {
        ApiKey::mint(&issuer("a"), &[seed; 48])
    }

    fn read(fields: &[(&str, &str)]) -> Result<Credential, InvalidApiKey> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        super::read(&RequestFacts { fields, ..RequestFacts::default() }, &[issuer("b"), issuer("a")])
    }

    #[test]
    fn genuine_keys_are_found_in_both_fields() {
        let (key, bearer) = (key(1), format!("Bearer {}", key(1).expose()));
        for fields in [
            &[("authorization", bearer.as_str())][..],
            &[("authorization", &bearer.replace("Bearer ", "bearer  "))],
            &[("x-api-key", key.expose())],
            &[("authorization", &bearer.replace("Bearer ", "Bearer\t"))],
            &[("authorization", &bearer), ("x-api-key", key.expose())],
        ] {
            assert_eq!(read(fields), Ok(Credential::Genuine(key.clone())), "{fields:?}");
        }
    }

    #[test]
    fn others_credentials_are_others_to_judge() {
        assert_eq!(read(&[]), Ok(Credential::Anonymous));
        assert_eq!(read(&[("authorization", "Bearer "), ("x-api-key", "")]), Ok(Credential::Anonymous));
        for (name, value) in [
            ("authorization", "Bearer eyJhbGciOi"),
            ("authorization", "Basic dTpw"),
            ("x-api-key", "sk-123"),
            ("x-api-key", "GOB_x"),
        ] {
            assert_eq!(read(&[(name, value)]), Ok(Credential::Foreign), "{value}");
        }
    }

    #[test]
    fn what_pretends_to_be_ours_is_refused_wherever_it_stands() {
        let forged = key(1).expose().chars().rev().take(8).collect::<String>();
        let forged = format!("{}{forged}", &key(1).expose()[..49]);
        for (name, value) in [
            ("authorization", format!("Bearer {forged}")),
            ("authorization", forged.clone()),
            ("x-api-key", forged.clone()),
            ("authorization", "Bearer gob_x".to_owned()),
        ] {
            assert!(read(&[(name, &value)]).is_err(), "{value}");
        }
        let genuine = format!("Bearer {}", key(1).expose());
        for value in [
            format!("Bearer\t{forged}"),
            format!("Bearer x, Bearer {forged}"),
            format!("Token {forged}"),
            format!("Basic {forged}"),
            format!("{genuine}, Bearer x"),
            genuine.replace("Bearer", "Basic"),
        ] {
            assert!(read(&[("authorization", &value)]).is_err(), "{value}");
        }
        assert!(read(&[("authorization", &genuine), ("x-api-key", "sk-123")]).is_err());
        assert!(read(&[("authorization", "Bearer eyJ"), ("x-api-key", key(1).expose())]).is_err());
        assert!(read(&[("authorization", &genuine), ("x-api-key", "gob_x")]).is_err());
        assert!(read(&[("authorization", &genuine), ("x-api-key", key(2).expose())]).is_err());
    }
}
