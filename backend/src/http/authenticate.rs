//! Who may call what: each route says it, and everybody else is refused.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::HeaderMap;
use tracing::Span;

use super::errors::Failure;
use crate::{
    identity::{Denied, Identity, KeyRejection, Mode, TokenRejection},
    ports::{Principal, Scope},
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody who reaches it.
    Public,
    /// The edge, by its signature, which [`super::edge_gate`] judges.
    Edge,
    /// Who has this scope.
    Scope(Scope),
}

/// Stands before one route.
#[derive(Clone)]
pub(super) struct Guard {
    /// Decides who asks.
    pub(super) identity: Arc<Identity>,
    /// Who may.
    pub(super) access: Access,
}

/// The layer: whoever may not call the route is refused; of everybody else the handler gets the [`Principal`].
pub(super) async fn authenticate(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if let Access::Scope(scope) = guard.access {
        match guard.admit(request.headers(), scope).await {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
            }
            Err(failure) => return failure.into_response(),
        }
    }
    next.run(request).await
}

impl Guard {
    async fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Failure> {
        let mode = self.identity.mode();
        if mode == Mode::Off && !is_governing(scope) {
            return Ok(Principal::anonymous());
        }
        // What is kept is somebody's, and what is governed is nobody's but the administrators'.
        let needed = mode == Mode::Required || scope == Scope::Conversations || is_governing(scope);
        let decision = self.identity.decide(headers, needed).await;
        let span = Span::current();
        span.record("goblin.auth.method", decision.method.as_str());
        span.record("goblin.auth.outcome", decision.outcome().as_str());
        drop(span);
        let principal = decision.who?;
        if principal.scopes.contains(scope) { Ok(principal) } else { Err(insufficient_scope(scope)) }
    }
}

/// Whether nobody but those who are meant by name may do it, whatever the mode.
const fn is_governing(scope: Scope) -> bool {
    matches!(scope, Scope::Admin | Scope::Incidents)
}

pub(super) fn insufficient_scope(scope: Scope) -> Failure {
    let message =
        format!("This needs the scope `{}`, which the credential does not have; use one that has it.", scope.as_str());
    let challenge = match scope {
        Scope::Chat => "Bearer error=\"insufficient_scope\", scope=\"chat\"",
        Scope::Conversations => "Bearer error=\"insufficient_scope\", scope=\"conversations\"",
        Scope::Admin => "Bearer error=\"insufficient_scope\", scope=\"admin\"",
        Scope::Incidents => "Bearer error=\"insufficient_scope\", scope=\"incidents\"",
    };
    Failure::new(ClientError::new(ErrorCode::InsufficientScope, message)).challenging(challenge)
}

/// No credential came, so that there is nothing to say of it.
const CHALLENGE: &str = "Bearer";
/// One came.
const CHALLENGE_INVALID: &str = "Bearer error=\"invalid_token\"";

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let error = match &denied {
            Denied::Missing => ClientError::new(
                ErrorCode::AuthenticationRequired,
                "Send an API key, or a token of the configured issuer, as `authorization: Bearer …` or `x-api-key: …`.",
            ),
            Denied::Unusable(unusable) => ClientError::new(ErrorCode::InvalidApiKey, unusable.why),
            Denied::ApiKey(rejection) => ClientError::new(ErrorCode::InvalidApiKey, of_key(*rejection)),
            Denied::Token(rejection) => ClientError::new(ErrorCode::InvalidToken, of_token(*rejection)),
            Denied::Store(_) | Denied::IssuerKeys(_) => {
                let message = "The credential cannot be checked at the moment; try again shortly.";
                ClientError::new(ErrorCode::StoreUnavailable, message).with_retry_after(1)
            }
        };
        let failure = Self::new(error);
        let failure = match (&denied, failure.error.code.status()) {
            (Denied::Missing, _) => failure.challenging(CHALLENGE),
            (_, 401) => failure.challenging(CHALLENGE_INVALID),
            _ => failure,
        };
        failure.caused_by(denied)
    }
}

/// Whether its id or its secret is wrong stays untold; what became of it is told to who knows the secret.
const fn of_key(rejection: KeyRejection) -> &'static str {
    match rejection {
        KeyRejection::Malformed | KeyRejection::Forged | KeyRejection::Unknown => {
            "The credential is no API key of this service; check that it is whole and for this service."
        }
        KeyRejection::Replaced => "The API key was replaced when it was rotated; use the new one.",
        KeyRejection::Expired => "The API key has expired; ask for another.",
        KeyRejection::Revoked => "The API key is revoked; ask for another.",
        KeyRejection::NotKept => "This service takes no API keys.",
    }
}

const fn of_token(rejection: TokenRejection) -> &'static str {
    match rejection {
        TokenRejection::TooLong => "The token is longer than 8 KiB; have its claims reduced.",
        TokenRejection::Malformed | TokenRejection::Critical => {
            "The credential is no API key of this service, and no token that can be read."
        }
        TokenRejection::Algorithm => "The token is signed by an algorithm that does not count here.",
        TokenRejection::UnknownKey => "The token is signed with a key that its issuer does not publish; get a new one.",
        TokenRejection::Signature => "The token's signature is not valid.",
        TokenRejection::Issuer => "The token is of an issuer that does not count here.",
        TokenRejection::Audience => "The token is made for another service; get one for this.",
        TokenRejection::Expired => "The token has expired; get a new one.",
        TokenRejection::TooEarly => "The token is not valid yet; check the clock of who made it.",
        TokenRejection::Subject => "The token does not say usably whose it is (claim `sub`).",
        TokenRejection::Tenant => "The token does not say usably which tenant its subject belongs to.",
    }
}
