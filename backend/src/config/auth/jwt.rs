//! `[auth.jwt]`: whose tokens count.

use std::{net::IpAddr, time::Duration};

use jsonwebtoken::Algorithm;

use super::super::{
    reader::Reader,
    value::{BaseUrl, Value, texts},
};
use crate::ports::Scopes;

/// Whose tokens count, and for whom they must be made.
#[derive(Clone, Debug)]
pub(crate) struct JwtConfig {
    /// `auth.jwt.issuer`, `GOBLIN_AUTH__JWT__ISSUER`: what `iss` must be, to the letter. Needed.
    pub(crate) issuer: String,
    /// `auth.jwt.audience`, `GOBLIN_AUTH__JWT__AUDIENCE`: what `aud` must be or hold: this service's name at the issuer.
    /// Several with commas between, or a list: one of them. Needed.
    pub(crate) audience: Vec<String>,
    /// `auth.jwt.jwks_url`, `GOBLIN_AUTH__JWT__JWKS_URL`: where the issuer's public keys are (RFC 7517); `https`, or `http`
    /// on a loopback address. Needed.
    pub(crate) jwks_url: String,
    /// `auth.jwt.algorithms`, `GOBLIN_AUTH__JWT__ALGORITHMS`: which signatures count, of RS256, RS384, RS512, PS256, PS384,
    /// PS512, ES256, ES384 and `EdDSA`. Default RS256, ES256, `EdDSA`.
    pub(crate) algorithms: Vec<Algorithm>,
    /// `auth.jwt.tenant_claim`, `GOBLIN_AUTH__JWT__TENANT_CLAIM`: the claim that names the tenant; tokens without it are
    /// refused then. No default: nobody has a tenant.
    pub(crate) tenant_claim: Option<String>,
    /// `auth.jwt.default_scopes`, `GOBLIN_AUTH__JWT__DEFAULT_SCOPES`: what a token may be used for that has neither `scope`
    /// nor `scp`. Default `chat,conversations`.
    pub(crate) default_scopes: Scopes,
    /// `auth.jwt.leeway`, `GOBLIN_AUTH__JWT__LEEWAY`: how far the issuer's clock may be off. Default 60 s, at most 5 min.
    pub(crate) leeway: Duration,
    /// `auth.jwt.cache`, `GOBLIN_AUTH__JWT__CACHE`: how long the issuer's keys are believed. Default 10 min, at least 1 s.
    pub(crate) cache: Duration,
}

const NEEDED: [&str; 3] = ["issuer", "audience", "jwks_url"];

impl JwtConfig {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let path = |field: &'static str| ["auth", "jwt", field];
        let anything = reader.has(&["auth", "jwt"]);
        let issuer: Option<String> = reader.optional(&path("issuer"));
        let audience: Option<Audience> = reader.optional(&path("audience"));
        let jwks_url: Option<JwksUrl> = reader.optional(&path("jwks_url"));
        if !anything {
            // Defaults of what is not used would only puzzle; the names are known for the sake of good advice.
            for field in ["algorithms", "tenant_claim", "default_scopes", "leeway", "cache"] {
                reader.know(&path(field));
            }
            return None;
        }
        let missing = [issuer.is_none(), audience.is_none(), jwks_url.is_none()];
        let faulty = reader.has_faults();
        let algorithms =
            reader.or(&path("algorithms"), Algorithms(vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]));
        let tenant_claim = reader.optional(&path("tenant_claim"));
        let default_scopes = reader.or(&path("default_scopes"), DefaultScopes(Scopes::DEFAULT));
        let leeway = reader.or(&path("leeway"), Duration::from_mins(1));
        let cache = reader.or(&path("cache"), Duration::from_mins(10));
        if leeway > Duration::from_mins(5) {
            reader.fault_of(&path("leeway"), "must be at most 5m: set the clocks right instead");
        }
        if cache < Duration::from_secs(1) {
            reader.fault_of(&path("cache"), "must be at least 1s");
        }
        for (field, is_missing) in NEEDED.into_iter().zip(missing) {
            // One that could not be read has been told of already.
            if is_missing && !faulty {
                reader.fault_of(&path(field), "needed as soon as anything is set in [auth.jwt]");
            }
        }
        Some(Self {
            issuer: issuer?,
            audience: audience?.0,
            jwks_url: jwks_url?.0,
            algorithms: algorithms.0,
            tenant_claim,
            default_scopes: default_scopes.0,
            leeway,
            cache,
        })
    }
}

struct Audience(Vec<String>);

impl Audience {
    fn from_texts<'a>(listed: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let texts: Vec<_> = listed.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if texts.is_empty() { Err("must name at least one audience".to_owned()) } else { Ok(Self(texts)) }
    }
}

impl Value for Audience {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_texts(text.split(','))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_texts(texts(value)?.into_iter())
    }

    fn show(&self) -> String {
        self.0.join(",")
    }
}

/// Keys that came over a line that others can write to would be nobody's.
struct JwksUrl(String);

impl Value for JwksUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        // Some issuers have one address for several sets, told apart by a query.
        let url = BaseUrl::from_text(text.split('?').next().unwrap_or_default())?;
        let uri: http::Uri = url.0.parse().map_err(|_| "must be a URL".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if uri.scheme_str() == Some("https") || loopback {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be https; http is for loopback addresses alone".to_owned())
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

struct Algorithms(Vec<Algorithm>);

/// A symmetric one is in no list: the issuer's public key would be the secret.
const POSSIBLE: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

impl Algorithms {
    fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let named = |text: &str| POSSIBLE.into_iter().find(|algorithm| format!("{algorithm:?}") == text.trim());
        let all: Option<Vec<_>> = texts.map(named).collect();
        let wrong = || {
            let possible: Vec<_> = POSSIBLE.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            format!("must be some of {}", possible.join(", "))
        };
        all.filter(|all| !all.is_empty()).map(Self).ok_or_else(wrong)
    }
}

impl Value for Algorithms {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_texts(text.split(','))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_texts(texts(value)?.into_iter())
    }

    fn show(&self) -> String {
        self.0.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>().join(",")
    }
}

struct DefaultScopes(Scopes);

impl Value for DefaultScopes {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crate::ports::UnknownScope| error.to_string())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(&texts(value)?.join(","))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::sources::{Inputs, layered},
        *,
    };

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Option<JwtConfig>, String> {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let file = Some(("goblin.toml".into(), file.to_owned()));
        let mut reader = layered(&Inputs { file, environment, set: vec![] });
        let jwt = JwtConfig::read(&mut reader);
        reader.finish().map(|_| jwt).map_err(|faults| faults.to_string())
    }

    const WHOLE: &str = "[auth.jwt]\nissuer = 'https://id.example/'\naudience = ['goblin', 'other']\n\
                         jwks_url = 'https://id.example/keys'\nalgorithms = ['ES384']\ndefault_scopes = ['chat']\n";

    #[test]
    fn file_and_environment_name_the_same() {
        let jwt = read(WHOLE, &[("GOBLIN_AUTH__JWT__LEEWAY", "5s"), ("GOBLIN_AUTH__JWT__ALGORITHMS", "PS256,EdDSA")]);
        let jwt = jwt.unwrap().unwrap();
        assert_eq!((jwt.issuer.as_str(), jwt.audience.len()), ("https://id.example/", 2));
        assert_eq!(jwt.algorithms, [Algorithm::PS256, Algorithm::EdDSA]);
        assert_eq!((jwt.leeway, jwt.cache), (Duration::from_secs(5), Duration::from_mins(10)));
        assert_eq!(jwt.default_scopes.to_string(), "chat");
        assert!(read("", &[]).unwrap().is_none());
    }

    #[test]
    fn what_would_let_strangers_in_is_a_fault() {
        for (field, value, reason) in [
            ("ALGORITHMS", "HS256", "must be some of RS256"),
            ("ALGORITHMS", "none", "must be some of RS256"),
            ("ALGORITHMS", "RS256,HS512", "must be some of RS256"),
            ("JWKS_URL", "http://id.example/keys", "must be https"),
            ("JWKS_URL", "http://127.0.0.1.example/keys", "must be https"),
            ("AUDIENCE", ",", "at least one audience"),
            ("LEEWAY", "6m", "at most 5m"),
            ("DEFAULT_SCOPES", "root", "is no scope"),
        ] {
            let told = read(WHOLE, &[(&format!("GOBLIN_AUTH__JWT__{field}"), value)]).unwrap_err();
            assert!(told.contains(reason), "{field}: {told}");
        }
        let told = read("[auth.jwt]\nissuer = 'x'\n", &[]).unwrap_err();
        assert!(told.contains("auth.jwt.audience: needed") && told.contains("auth.jwt.jwks_url: needed"), "{told}");
        for loopback in ["http://127.0.0.1:1/k", "http://[::1]:1/k", "http://localhost/k"] {
            assert!(read(WHOLE, &[("GOBLIN_AUTH__JWT__JWKS_URL", loopback)]).is_ok(), "{loopback}");
        }
    }
}
