//! The one place where errors become responses, and where they are logged, once.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use goblin_shared::{
    api::Api,
    error_body::{ClientError, ErrorCode},
    headers::{RETRY_AFTER, SHOULD_RETRY},
    request_id::RequestId,
};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE},
};

use super::limit_fields::{self, LimitFields};
use crate::{
    chat::{NotAccounted, PlanFailure},
    monitoring,
    ports::{Cause, Inexpressible, Obstacle, ProviderError},
};

/// An error: what the client is told, and what only the log is.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the client.
    pub(super) error: ClientError,
    /// A field of its answer: the methods that the path does take, or what `www-authenticate` says (RFC 6750, section 3).
    field: Option<Box<(HeaderName, HeaderValue)>>,
    /// Trying again is of no use, whatever the status makes clients think.
    is_final: bool,
    /// For the log.
    cause: Option<Cause>,
    /// How the caller's limits stand, where he has any.
    limits: Option<Box<LimitFields>>,
}

impl Failure {
    pub(super) fn new(error: ClientError) -> Self {
        Self { error, field: None, is_final: false, cause: None, limits: None }
    }

    /// Tells how the caller's limits stand.
    pub(super) fn with_limits(self, limits: LimitFields) -> Self {
        Self { limits: Some(Box::new(limits)), ..self }
    }

    pub(super) fn caused_by(self, cause: impl Into<Cause>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Says how a credential is sent, or what is wrong with the one that was.
    pub(super) fn challenging(self, challenge: &'static str) -> Self {
        Self { field: Some(Box::new((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))), ..self }
    }

    /// Tells the SDKs of OpenAI and Anthropic, which try again after a 503, that this is of no use.
    pub(super) fn for_good(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// Writes it to the log, with the ids of the current span.
    pub(super) fn log(&self) {
        let cause = self.cause.as_deref().map(|cause| monitoring::chain(cause));
        let (status, code, cause) = (self.error.code.status(), self.error.code.as_str(), cause.as_deref());
        if self.error.code == ErrorCode::ShuttingDown {
            // Wanted by who ends us.
            tracing::warn!(status, code, cause, "request refused");
        } else if status >= 500 {
            tracing::error!(status, code, cause, "request failed");
        } else {
            tracing::info!(status, code, cause, "request refused");
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error)
    }
}

impl From<PlanFailure> for Failure {
    fn from(failure: PlanFailure) -> Self {
        let code = failure.code();
        let error = match &failure {
            PlanFailure::Provider { error, .. } => provider_error(code, error),
            PlanFailure::Full => {
                let message = "Every provider of this model is busy; try again shortly.";
                ClientError::new(code, message).with_retry_after(1)
            }
            PlanFailure::Closed { retry_after, by_its_word: true } => {
                let message = "The provider takes no more requests for now; try again later.";
                ClientError::new(code, message).with_retry_after(*retry_after)
            }
            PlanFailure::Closed { retry_after, by_its_word: false } => {
                let message = "The providers of this model fail at the moment and are left alone; try again later.";
                ClientError::new(code, message).with_retry_after(*retry_after)
            }
            PlanFailure::Inexpressible(Inexpressible { param, message }) => {
                ClientError::new(code, message.clone()).with_param(param.clone())
            }
            PlanFailure::Unread => {
                ClientError::new(code, "The answer was not read in time; ask again and read faster.")
            }
            PlanFailure::NotKept(_) => ClientError::new(
                ErrorCode::StoreUnavailable,
                "The answer is complete, but could not be kept in its conversation in time; look there before you ask again.",
            ),
            PlanFailure::Lost => internal(),
        };
        Self::new(error).caused_by(failure)
    }
}

impl From<NotAccounted> for Failure {
    fn from(refused: NotAccounted) -> Self {
        match &refused {
            NotAccounted::Over { state, wanted, at_ms } => {
                let message = limit_fields::over(state, *wanted);
                let error = if state.quota.is_spend() {
                    ClientError::new(ErrorCode::BudgetExceeded, message)
                } else {
                    let seconds = state.resets_ms.saturating_sub(*at_ms).div_ceil(1_000);
                    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
                    ClientError::new(ErrorCode::RateLimitExceeded, message).with_retry_after(seconds)
                };
                let failure = Self::new(error).with_limits(LimitFields::new(&[*state], *at_ms));
                // What is more than all that there is fits into no window.
                if *wanted > state.limit { failure.for_good() } else { failure }
            }
            NotAccounted::PriceUnknown(target) => {
                let message = format!(
                    "What {target} costs is not known here, and your spending is limited; ask for another model."
                );
                ClientError::new(ErrorCode::PriceUnknown, message).with_param("model").into()
            }
            NotAccounted::TierUnpriced => {
                let message = "What this tier costs is not known here, and your spending is limited; \
                               leave `service_tier` out, or ask for `default` or `flex`.";
                ClientError::new(ErrorCode::PriceUnknown, message).with_param("service_tier").into()
            }
            NotAccounted::Claimed => {
                let message = "This request is being answered, or has been; send a new one.";
                Self::new(ClientError::new(ErrorCode::AlreadyClaimed, message)).for_good()
            }
            NotAccounted::Store(_) => {
                let message = "Requests cannot be written down at the moment; try again shortly.";
                let error = ClientError::new(ErrorCode::StoreUnavailable, message).with_retry_after(1);
                Self::new(error).caused_by(refused)
            }
        }
    }
}

/// What the client is told of the provider that failed last.
fn provider_error(code: ErrorCode, error: &ProviderError) -> ClientError {
    match error {
        ProviderError::Rejected { status: 413, .. } => {
            ClientError::new(code, "The provider finds the request too large; send less.")
        }
        ProviderError::Rejected { message, detail, .. } => {
            let message = message.as_deref().unwrap_or("The provider calls the request invalid.");
            ClientError { param: detail.param.clone(), ..ClientError::new(code, message) }
        }
        ProviderError::Overloaded { retry_after, .. } => {
            let message = "The provider takes no more requests for now; try again later.";
            // One second where it does not say: soon, but not at once.
            ClientError::new(code, message).with_retry_after(retry_after.unwrap_or(1))
        }
        ProviderError::Status { status: 500.., retry_after: Some(seconds), .. } => {
            let message = "The provider takes no requests for now; try again later.";
            ClientError::new(code, message).with_retry_after(*seconds)
        }
        ProviderError::Reported { overloaded: true, .. } | ProviderError::Status { status: 529, .. } => {
            let message = "The provider is overloaded; try again shortly.";
            ClientError::new(code, message).with_retry_after(1)
        }
        ProviderError::TimedOut { .. } | ProviderError::Unreachable { why: Obstacle::TimedOut, .. } => {
            ClientError::new(code, "The provider did not answer in time; try again.")
        }
        ProviderError::Cut | ProviderError::Broken(_) => {
            ClientError::new(code, "The provider broke off its answer; try again.")
        }
        ProviderError::Unauthorized { .. }
        | ProviderError::Status { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::Reported { .. }
        | ProviderError::Garbage(_) => ClientError::new(code, "The provider could not answer; try again later."),
    }
}

fn internal() -> ClientError {
    ClientError::new(ErrorCode::Internal, "Something went wrong here; the request id helps to find it.")
}

/// The program is ending.
pub(super) fn shutting_down() -> Failure {
    let message = "The service is being restarted; try again shortly.";
    ClientError::new(ErrorCode::ShuttingDown, message).with_retry_after(5).into()
}

/// The path is none of ours.
pub(super) fn not_found() -> Failure {
    let message = "There is nothing at this path; the API is under /v1, for example POST /v1/chat/completions.";
    ClientError::new(ErrorCode::NotFound, message).into()
}

/// The path does not take this method, but those in `allow`.
pub(super) fn method_not_allowed(allow: &str) -> Failure {
    let error = ClientError::new(ErrorCode::MethodNotAllowed, format!("This path takes {allow} only."));
    let field = HeaderValue::from_str(allow).ok().map(|allow| Box::new((ALLOW, allow)));
    Failure { field, ..Failure::new(error) }
}

/// Handlers do not know the request's id, so that the answer is completed by [`render`].
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Gives a failure its body, in the shape of `api`, and logs it; leaves other responses alone.
pub(super) fn render(mut response: Response, api: Api, request_id: RequestId) -> (Response, Option<ErrorCode>) {
    let Some(failure) = response.extensions_mut().remove::<Arc<Failure>>() else { return (response, None) };
    failure.log();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = failure.field.as_deref() {
        headers.insert(name, value.clone());
    }
    if failure.is_final {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(seconds) = failure.error.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(limits) = &failure.limits {
        limits.add_to(headers);
    }
    *response.body_mut() = Body::from(failure.error.to_json(api, request_id));
    (response, Some(failure.error.code))
}

/// The layer that answers when a handler panics. The panic hook has logged where.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Failure::new(internal()).caused_by("a handler panicked").into_response())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goblin_shared::catalogue::Target;

    use super::*;
    use crate::ports::UpstreamDetail;

    #[test]
    fn providers_failures_are_told_by_fault() {
        let detail = UpstreamDetail::default;
        let broken = || std::io::Error::other("10.0.0.7 refused");
        let unreachable = ProviderError::Unreachable { why: Obstacle::Refused, cause: broken().into() };
        for (error, status, code, retry_after) in [
            (ProviderError::Rejected { status: 404, message: None, detail: detail() }, 400, "invalid_request", None),
            (
                ProviderError::Unauthorized { status: 401, other_key: false, detail: detail() },
                502,
                "provider_failed",
                None,
            ),
            (
                ProviderError::Overloaded { retry_after: Some(7), other_key: false, detail: detail() },
                503,
                "provider_overloaded",
                Some(7),
            ),
            (
                ProviderError::Overloaded { retry_after: None, other_key: false, detail: detail() },
                503,
                "provider_overloaded",
                Some(1),
            ),
            (ProviderError::Status { status: 500, retry_after: None, detail: detail() }, 502, "provider_failed", None),
            (
                ProviderError::Status { status: 529, retry_after: Some(3), detail: detail() },
                503,
                "provider_overloaded",
                Some(3),
            ),
            (unreachable, 502, "provider_failed", None),
            (
                ProviderError::Unreachable { why: Obstacle::TimedOut, cause: broken().into() },
                504,
                "provider_timeout",
                None,
            ),
            (ProviderError::Broken(broken().into()), 502, "provider_failed", None),
            (ProviderError::Cut, 502, "provider_failed", None),
            (ProviderError::Reported { overloaded: false, detail: detail() }, 502, "provider_failed", None),
            (ProviderError::Reported { overloaded: true, detail: detail() }, 503, "provider_overloaded", Some(1)),
            (
                ProviderError::Status { status: 529, retry_after: None, detail: detail() },
                503,
                "provider_overloaded",
                Some(1),
            ),
            (ProviderError::Garbage("x"), 502, "provider_failed", None),
            (ProviderError::TimedOut { what: "x", limit: Duration::ZERO }, 504, "provider_timeout", None),
        ] {
            let target = Target { provider: "p".to_owned(), model: "m".to_owned() };
            let failure = Failure::from(PlanFailure::Provider { target, error });
            assert_eq!((failure.error.code.status(), failure.error.code.as_str()), (status, code));
            assert!(!failure.error.message.contains("10.0.0.7"));
            assert_eq!(failure.error.retry_after, retry_after);
        }
    }

    #[test]
    fn plans_that_cannot_be_carried_out_are_told() {
        let inexpressible = Inexpressible { param: "n".to_owned(), message: "Ask for one answer.".to_owned() };
        for (failure, status, code, retry_after) in [
            (PlanFailure::Full, 503, "overloaded", Some(1)),
            (PlanFailure::Closed { retry_after: 9, by_its_word: false }, 503, "no_provider", Some(9)),
            (PlanFailure::Closed { retry_after: 9, by_its_word: true }, 503, "provider_overloaded", Some(9)),
            (PlanFailure::Inexpressible(inexpressible), 400, "invalid_field", None),
            (PlanFailure::Unread, 400, "invalid_request", None),
            (PlanFailure::Lost, 500, "internal_error", None),
        ] {
            let error = Failure::from(failure).error;
            assert_eq!((error.code.status(), error.code.as_str(), error.retry_after), (status, code, retry_after));
            assert_eq!(error.param.as_deref(), (code == "invalid_field").then_some("n"));
        }
    }
}
