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

/// Reads `authorization: Bearer …` and `x-api-key`. A value that begins as our keys do must be genuine, in whichever of
/// the two it comes; one that does not is another's to judge.
pub fn read(facts: &RequestFacts, issuers: &[IssuerSecret]) -> Result<Credential, InvalidApiKey> {
    let bearer = facts.header("authorization").map(|value| {
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { value.trim() }
    });
    let mut credential = Credential::Anonymous;
    for value in [bearer, facts.header("x-api-key").map(str::trim)].into_iter().flatten() {
        if value.starts_with(PREFIX) {
            let key = ApiKey::check(value, issuers)?;
            if matches!(&credential, Credential::Genuine(other) if *other != key) {
                // Two keys: nobody could say whose request it is.
                return Err(InvalidApiKey::Malformed);
            }
            credential = Credential::Genuine(key);
        } else if !value.is_empty() && credential == Credential::Anonymous {
            credential = Credential::Foreign;
        }
    }
    Ok(credential)
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
            &[("authorization", "Bearer eyJhbGciOi"), ("x-api-key", key.expose())],
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
        assert!(read(&[("authorization", &genuine), ("x-api-key", "gob_x")]).is_err());
        assert!(read(&[("authorization", &genuine), ("x-api-key", key(2).expose())]).is_err());
    }
}
