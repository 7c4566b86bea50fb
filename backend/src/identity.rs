//! Who asks: API keys and tokens, and what they prove.

mod api_keys;
mod credential;
mod jwt;
mod key_office;
mod key_view;
#[cfg(test)]
pub(crate) mod memory_keys;
#[cfg(test)]
mod tests;

use http::HeaderMap;

use self::{api_keys::KeyDenied, jwt::TokenDenied};
pub(crate) use self::{
    api_keys::{ApiKeys, KeyRejection},
    credential::{Credential, UnusableCredential},
    jwt::{FetchFailure, Jwt, JwtSettings, TokenRejection, UnusableJwt},
    key_office::{Issued, KeyOffice, NewKey, OVERLAP, OfficeError, PAGE},
    key_view::{IssuedView, KeyView},
};
use crate::{
    monitoring::metrics::{AuthMethod, AuthOutcome, Metrics},
    ports::{Principal, StoreError},
};

/// Who must say who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nobody; credentials are not looked at.
    Off,
    /// Who shows a credential.
    Optional,
    /// Everybody.
    Required,
}

/// Why it is not known who asks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// No credential where one is needed.
    #[error("no credential")]
    Missing,
    /// What was sent is no credential, or more than one.
    #[error(transparent)]
    Unusable(#[from] UnusableCredential),
    /// The API key does not count.
    #[error("API key: {0}")]
    ApiKey(#[from] KeyRejection),
    /// The token does not count.
    #[error("token: {0}")]
    Token(#[from] TokenRejection),
    /// The key cannot be looked up.
    #[error("the API key cannot be looked up")]
    Store(#[source] StoreError),
    /// The issuer's keys cannot be had.
    #[error("the issuer's keys cannot be had")]
    IssuerKeys(#[source] FetchFailure),
}

impl Denied {
    /// Whose fault it is.
    pub(crate) const fn outcome(&self) -> AuthOutcome {
        match self {
            Self::Missing | Self::Unusable(_) | Self::ApiKey(_) | Self::Token(_) => AuthOutcome::Rejected,
            Self::Store(_) | Self::IssuerKeys(_) => AuthOutcome::Error,
        }
    }
}

impl From<KeyDenied> for Denied {
    fn from(denied: KeyDenied) -> Self {
        match denied {
            KeyDenied::Rejected(rejection) => Self::ApiKey(rejection),
            KeyDenied::Store(error) => Self::Store(error),
        }
    }
}

impl From<TokenDenied> for Denied {
    fn from(denied: TokenDenied) -> Self {
        match denied {
            TokenDenied::Rejected(rejection) => Self::Token(rejection),
            TokenDenied::Keys(failure) => Self::IssuerKeys(failure),
        }
    }
}

/// What was decided on who asks.
#[derive(Debug)]
pub(crate) struct Decision {
    /// By what.
    pub(crate) method: AuthMethod,
    /// What came of it.
    pub(crate) who: Result<Principal, Denied>,
}

impl Decision {
    /// What came of it, in a word.
    pub(crate) fn outcome(&self) -> AuthOutcome {
        self.who.as_ref().map_or_else(Denied::outcome, |_| AuthOutcome::Accepted)
    }
}

/// Decides who asks.
pub(crate) struct Identity {
    mode: Mode,
    keys: ApiKeys,
    jwt: Option<Jwt>,
    metrics: Metrics,
}

impl Identity {
    /// Decides by these; each decision is counted.
    pub(crate) fn new(mode: Mode, keys: ApiKeys, jwt: Option<Jwt>, metrics: Metrics) -> Self {
        Self { mode, keys, jwt, metrics }
    }

    /// Who must say who he is.
    pub(crate) const fn mode(&self) -> Mode {
        self.mode
    }

    /// What is known of API keys, for who changes them.
    pub(crate) const fn keys(&self) -> &ApiKeys {
        &self.keys
    }

    /// Decides who sends a request with these fields. Without a credential that is nobody in particular, unless `needed`.
    pub(crate) async fn decide(&self, headers: &HeaderMap, needed: bool) -> Decision {
        // One that is dropped in between, as its client has left, was not decided on.
        let decision = match credential::read(headers) {
            Err(unusable) => Decision { method: unusable.method, who: Err(unusable.into()) },
            Ok(Credential::None) => {
                let who = if needed { Err(Denied::Missing) } else { Ok(Principal::anonymous()) };
                Decision { method: AuthMethod::None, who }
            }
            Ok(Credential::ApiKey(key)) => {
                Decision { method: AuthMethod::ApiKey, who: self.keys.check(key).await.map_err(Denied::from) }
            }
            Ok(Credential::Other(token)) => match &self.jwt {
                Some(jwt) => Decision { method: AuthMethod::Jwt, who: jwt.check(token).await.map_err(Denied::from) },
                // Whatever it is, only API keys are taken here.
                None => Decision { method: AuthMethod::ApiKey, who: Err(Denied::ApiKey(KeyRejection::Malformed)) },
            },
        };
        self.metrics.auth_attempt(decision.method, decision.outcome());
        decision
    }
}
