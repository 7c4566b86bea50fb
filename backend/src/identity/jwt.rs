//! Tokens of an issuer whose keys are published (JWT, RFC 7519, by JWKS, RFC 7517; the advice of RFC 8725 is followed).

mod claims;
mod fetch;
mod key_set;
mod key_source;
mod ring_crypto;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};

pub(crate) use self::fetch::{FetchFailure, UnusableJwt};
use self::{
    claims::Claims,
    fetch::Fetcher,
    key_set::Wanted,
    key_source::{KeySource, Patience},
};
use crate::ports::{Clock, LimitSet, Principal, Scopes};

/// Longest token in bytes.
const TOKEN_BYTES: usize = 8 * 1024;

/// Whose tokens count, and what they are worth.
#[derive(Clone, Debug)]
pub(crate) struct JwtSettings {
    /// What `iss` must be.
    pub(crate) issuer: String,
    /// One of these must be in `aud`.
    pub(crate) audience: Vec<String>,
    /// Where the issuer's keys are.
    pub(crate) jwks_url: String,
    /// Which signatures count; never symmetric ones.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The claim that names the tenant.
    pub(crate) tenant_claim: Option<String>,
    /// For tokens that say nothing of scopes.
    pub(crate) default_scopes: Scopes,
    /// How far the issuer's clock may be off.
    pub(crate) leeway: Duration,
    /// How long its keys are believed.
    pub(crate) cache: Duration,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRejection {
    /// It is over the bound.
    #[error("it is longer than {TOKEN_BYTES} bytes")]
    TooLong,
    /// It is no signed token, or its claims have other shapes than they should.
    #[error("it is no signed JWT with the claims iss, sub, aud and exp")]
    Malformed,
    /// Its algorithm is none of those that count.
    #[error("its algorithm is not among those that count here")]
    Algorithm,
    /// It wants something understood that is not (RFC 7515, section 4.1.11).
    #[error("it has a critical header that is not understood")]
    Critical,
    /// It names a key that the issuer does not have, or none where it has several.
    #[error("it is signed with a key that the issuer does not publish for its algorithm")]
    UnknownKey,
    /// The signature is not of the key.
    #[error("its signature is not valid")]
    Signature,
    /// It is of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    TooEarly,
    /// It says not, or not usably, whose it is.
    #[error("its subject is missing, empty, or longer than 256 bytes")]
    Subject,
    /// It says not, or not usably, to which tenant its subject belongs.
    #[error("its tenant is missing, empty, or longer than 256 bytes")]
    Tenant,
}

/// Why it is not known whose a token is.
#[derive(Debug)]
pub(super) enum TokenDenied {
    /// It does not count.
    Rejected(TokenRejection),
    /// It cannot be said without the issuer's keys.
    Keys(FetchFailure),
}

impl From<TokenRejection> for TokenDenied {
    fn from(rejection: TokenRejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The tokens of one issuer.
pub(crate) struct Jwt {
    settings: JwtSettings,
    keys: Arc<KeySource>,
    clock: Arc<dyn Clock>,
}

impl Jwt {
    /// Nothing is fetched before the first token comes.
    pub(crate) fn new(settings: JwtSettings, clock: Arc<dyn Clock>) -> Result<Self, UnusableJwt> {
        let patience = Patience { believed_for: settings.cache, ..Patience::default() };
        Self::with_patience(settings, patience, clock)
    }

    fn with_patience(settings: JwtSettings, patience: Patience, clock: Arc<dyn Clock>) -> Result<Self, UnusableJwt> {
        ring_crypto::install();
        let fetcher = Fetcher::new(settings.jwks_url.clone())?;
        let keys = Arc::new(KeySource::new(fetcher, patience));
        Ok(Self { settings, keys, clock })
    }

    /// Whose a token is.
    pub(super) async fn check(&self, token: &str) -> Result<Principal, TokenDenied> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenRejection::TooLong.into());
        }
        // What has `none` or an unknown algorithm cannot even be read.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRejection::Malformed)?;
        if !self.settings.algorithms.contains(&header.alg) {
            return Err(TokenRejection::Algorithm.into());
        }
        if header.crit.is_some() {
            return Err(TokenRejection::Critical.into());
        }
        let wanted = Wanted { kid: header.kid.as_deref(), algorithm: header.alg };
        let key = self.keys.find(&wanted).await?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation(header.alg));
        let claims = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenRejection::Signature,
            _ => TokenRejection::Malformed,
        })?;
        Ok(self.judge(&claims.claims)?)
    }

    /// What the claims of a token are worth whose signature is valid.
    fn judge(&self, claims: &Claims) -> Result<Principal, TokenRejection> {
        let settings = &self.settings;
        if claims.iss != settings.issuer {
            return Err(TokenRejection::Issuer);
        }
        if !claims.aud.any(|audience| settings.audience.iter().any(|ours| ours == audience)) {
            return Err(TokenRejection::Audience);
        }
        claims.check_times(self.clock.unix_seconds(), settings.leeway.as_secs())?;
        let owner = claims.owner(settings.tenant_claim.as_deref())?;
        let scopes = claims.scopes().unwrap_or(settings.default_scopes);
        Ok(Principal { owner, key_id: None, scopes, limits: LimitSet::default(), anonymous: false })
    }
}

/// The library checks form and signature. What the claims say is checked by [`Jwt::judge`], by the clock that is handed in.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
