//! `[auth]`: who may use the service.

mod jwt;

use std::time::Duration;

use goblin_shared::api_key::IssuerSecret;

pub(crate) use self::jwt::JwtConfig;
use super::{
    fault::ConfigFaults,
    reader::Reader,
    sources::{self, Inputs},
    value::{Value, texts},
};

/// Who is asked who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthMode {
    /// `off`: nobody; credentials are not looked at.
    Off,
    /// `optional`: who shows a credential; everybody else is served without a name.
    Optional,
    /// `required`: everybody.
    Required,
}

impl Value for AuthMode {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err("must be `off`, `optional` or `required`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
        .to_owned()
    }
}

/// How it is known who asks.
#[derive(Clone, Debug)]
pub(crate) struct AuthConfig {
    /// `auth.mode`, `GOBLIN_AUTH__MODE`: `off`, `optional` or `required` (default). Whatever it says, `/admin` is only for
    /// who has the scope `admin`.
    pub(crate) mode: AuthMode,
    /// `auth.issuer_secrets`, `GOBLIN_AUTH__ISSUER_SECRETS`: one or two, a list or with commas between; the edge has the
    /// same in `API_KEY_ISSUER_SECRETS`. The first makes new keys. No default; needed for keys.
    pub(crate) issuer_secrets: Vec<IssuerSecret>,
    /// `auth.cache`, `GOBLIN_AUTH__CACHE`: how long a key that was found is believed without asking the store again, and
    /// therefore how long one that another instance revoked may still count. Default 10 s; 0s asks every time.
    pub(crate) cache: Duration,
    /// `[auth.jwt]`: whose tokens count. `None`: nobody's.
    pub(crate) jwt: Option<JwtConfig>,
}

const ISSUER_SECRETS: [&str; 2] = ["auth", "issuer_secrets"];

impl AuthConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        // What is there but cannot be read is a fault of its own.
        let proves = reader.has(&ISSUER_SECRETS) || reader.has(&["auth", "jwt"]);
        let auth = Self::settings(reader);
        if auth.mode == AuthMode::Required && !proves {
            reader.fault_of(
                &["auth", "mode"],
                "nobody could be told apart: give the issuer secrets of API keys (auth.issuer_secrets, one from `openssl \
                 rand -hex 32`, the same at the edge in API_KEY_ISSUER_SECRETS) or whose tokens count ([auth.jwt]), or set \
                 auth.mode to `off` where whoever reaches the service may use it",
            );
        }
        auth
    }

    fn settings(reader: &mut Reader) -> Self {
        Self {
            mode: reader.or(&["auth", "mode"], AuthMode::Required),
            issuer_secrets: reader.optional(&ISSUER_SECRETS).map_or_else(Vec::new, |IssuerSecrets(all)| all),
            cache: reader.or(&["auth", "cache"], Duration::from_secs(10)),
            jwt: JwtConfig::read(reader),
        }
    }

    /// Reads this section alone, for commands that do not serve: what is wrong elsewhere does not hinder them.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let auth = Self::settings(&mut reader);
        reader.finish_section().map(|()| auth)
    }

    /// The same, for those that make keys.
    pub(crate) fn load_to_issue(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let auth = Self::settings(&mut reader);
        if auth.issuer_secrets.is_empty() && !reader.has_faults() {
            reader.fault_of(
                &ISSUER_SECRETS,
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
        AuthConfig::load_to_issue(&Inputs {
            file: Some(("goblin.toml".into(), file.to_owned())),
            environment: vec![],
            set,
        })
    }

    #[test]
    fn one_or_two_secrets_make_keys_whatever_is_wrong_elsewhere() {
        let one = load("[service]\nlisten = 80\n", &[&format!("auth.issuer_secrets={SECRET}")]);
        assert_eq!(one.unwrap().issuer_secrets.len(), 1);
        let two = load(&format!("[auth]\nissuer_secrets = ['{SECRET}', '{SECRET}x']\n"), &[]);
        assert_eq!(two.unwrap().issuer_secrets.len(), 2);
    }

    #[test]
    fn somebody_must_be_able_to_prove_who_he_is() {
        let read = |set: &[&str]| {
            let set = set.iter().map(|text| (*text).to_owned()).collect();
            let mut reader = sources::layered(&Inputs { file: None, environment: vec![], set });
            let auth = AuthConfig::read(&mut reader);
            reader.finish().map(|_| auth).map_err(|faults| faults.to_string())
        };
        let told = read(&[]).unwrap_err();
        assert!(told.contains("auth.mode = required (default): nobody could be told apart"), "{told}");
        for mode in ["off", "optional"] {
            assert!(read(&[&format!("auth.mode={mode}")]).unwrap().issuer_secrets.is_empty(), "{mode}");
        }
        let told = read(&["auth.issuer_secrets=short"]).unwrap_err();
        assert!(!told.contains("auth.mode"), "{told}");
        assert!(read(&["auth.mode=sometimes"]).unwrap_err().contains("must be `off`, `optional` or `required`"));
        let auth = read(&[&format!("auth.issuer_secrets={SECRET}"), "auth.cache=0s"]).unwrap();
        assert_eq!((auth.mode, auth.cache, auth.jwt.is_none()), (AuthMode::Required, Duration::ZERO, true));
        let jwt = [
            "auth.jwt.issuer=https://id.example",
            "auth.jwt.audience=goblin",
            "auth.jwt.jwks_url=https://id.example/k",
        ];
        assert!(read(&jwt).unwrap().jwt.is_some());
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
