//! `[auth]`: who may use the service.

use goblin_shared::api_key::IssuerSecret;

use super::{
    fault::ConfigFaults,
    reader::Reader,
    sources::{self, Inputs},
    value::{Value, texts},
};

/// `auth.mode`, `GOBLIN_AUTH__MODE`: `off` (default), the only one there is as long as the backend keeps no list of keys.
struct Mode;

impl Value for Mode {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self),
            _ => Err("the backend does not look keys up in this version, so that only `off` is possible".to_owned()),
        }
    }

    fn show(&self) -> String {
        "off".to_owned()
    }
}

/// What keys are made with.
#[derive(Clone, Debug)]
pub(crate) struct AuthConfig {
    /// `auth.issuer_secrets`, `GOBLIN_AUTH__ISSUER_SECRETS`: one or two, a list or with commas between; the edge has the
    /// same in `API_KEY_ISSUER_SECRETS`. The first makes new keys. No default; needed to make keys.
    pub(crate) issuer_secrets: Vec<IssuerSecret>,
}

impl AuthConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let Mode = reader.or(&["auth", "mode"], Mode);
        let issuer_secrets =
            reader.optional(&["auth", "issuer_secrets"]).map_or_else(Vec::new, |IssuerSecrets(all)| all);
        Self { issuer_secrets }
    }

    /// Reads this section alone, for commands that do not serve: what is wrong elsewhere does not hinder them.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let auth = Self::read(&mut reader);
        if auth.issuer_secrets.is_empty() && !reader.has_faults() {
            reader.fault_of(
                &["auth", "issuer_secrets"],
                "needed to make keys: make one with `openssl rand -hex 32` and give it to edge (API_KEY_ISSUER_SECRETS) \
                 and backend (GOBLIN_AUTH__ISSUER_SECRETS) alike",
            );
        }
        reader.finish_section().map(|()| auth)
    }
}

struct IssuerSecrets(Vec<IssuerSecret>);

impl IssuerSecrets {
    fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let secrets = texts.map(|text| text.parse::<IssuerSecret>().map_err(|error| error.to_string()));
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        match secrets.as_slice() {
            [_] | [_, _] => Ok(Self(secrets)),
            _ => Err("give one secret, or two while they are rotated".to_owned()),
        }
    }
}

impl Value for IssuerSecrets {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_texts(text.split(','))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_texts(texts(value)?.into_iter())
    }

    fn show(&self) -> String {
        format!("{} secrets", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn load(file: &str, set: &[&str]) -> Result<AuthConfig, ConfigFaults> {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        AuthConfig::load(&Inputs { file: Some(("goblin.toml".into(), file.to_owned())), environment: vec![], set })
    }

    #[test]
    fn one_or_two_secrets_make_keys_whatever_is_wrong_elsewhere() {
        let one = load("[service]\nlisten = 80\n", &[&format!("auth.issuer_secrets={SECRET}")]);
        assert_eq!(one.unwrap().issuer_secrets.len(), 1);
        let two = load(&format!("[auth]\nissuer_secrets = ['{SECRET}', '{SECRET}x']\n"), &[]);
        assert_eq!(two.unwrap().issuer_secrets.len(), 2);
    }

    #[test]
    fn what_is_wrong_with_them_is_said_without_showing_them() {
        for (text, reason) in [
            ("short-and-secret".to_owned(), "at least 32 characters"),
            (format!("{SECRET},{SECRET},{SECRET}"), "one secret, or two"),
            (format!("{SECRET},"), "at least 32 characters"),
        ] {
            let told = load("", &[&format!("auth.issuer_secrets={text}")]).unwrap_err().to_string();
            assert!(told.contains(reason) && !told.contains(&text), "{told}");
        }
        let told = load("", &[]).unwrap_err().to_string();
        assert!(told.contains("auth.issuer_secrets: needed to make keys"), "{told}");
    }
}
