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
    header::{ALLOW, CONTENT_TYPE},
};

use crate::{
    chat::PlanFailure,
    monitoring,
    ports::{Cause, Inexpressible, Obstacle, ProviderError},
};

/// An error: what the client is told, and what only the log is.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the client.
    pub(super) error: ClientError,
    /// The methods that the path does take.
    allow: Option<&'static str>,
    /// Trying again is of no use, whatever the status makes clients think.
    is_final: bool,
    /// For the log.
    cause: Option<Cause>,
}

impl Failure {
    pub(super) fn new(error: ClientError) -> Self {
        Self { error, allow: None, is_final: false, cause: None }
    }

    pub(super) fn caused_by(self, cause: impl Into<Cause>) -> Self {
        Self { cause: Some(cause.into()), ..self }
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
        let error = match &failure {
            PlanFailure::Provider { error, .. } => provider_error(error),
            PlanFailure::Full => {
                let message = "Every provider of this model is busy; try again shortly.";
                ClientError::new(ErrorCode::Overloaded, message).with_retry_after(1)
            }
            PlanFailure::Closed { retry_after, by_its_word: true } => {
                let message = "The provider takes no more requests for now; try again later.";
                ClientError::new(ErrorCode::ProviderOverloaded, message).with_retry_after(*retry_after)
            }
            PlanFailure::Closed { retry_after, by_its_word: false } => {
                let message = "The providers of this model fail at the moment and are left alone; try again later.";
                ClientError::new(ErrorCode::NoProvider, message).with_retry_after(*retry_after)
            }
            PlanFailure::Inexpressible(Inexpressible { param, message }) => {
                ClientError::new(ErrorCode::InvalidField, message.clone()).with_param(param.clone())
            }
            PlanFailure::Unread => ClientError::new(
                ErrorCode::InvalidRequest,
                "The answer was not read in time; ask again and read faster.",
            ),
            PlanFailure::Lost => internal(),
        };
        Self::new(error).caused_by(failure)
    }
}

/// What the client is told of the provider that failed last.
fn provider_error(error: &ProviderError) -> ClientError {
    match error {
        ProviderError::Rejected { status: 413, .. } => {
            ClientError::new(ErrorCode::BodyTooLarge, "The provider finds the request too large; send less.")
        }
        ProviderError::Rejected { message, detail, .. } => {
            let message = message.as_deref().unwrap_or("The provider calls the request invalid.");
            ClientError { param: detail.param.clone(), ..ClientError::new(ErrorCode::InvalidRequest, message) }
        }
        ProviderError::Overloaded { retry_after, .. } => {
            let message = "The provider takes no more requests for now; try again later.";
            // One second where it does not say: soon, but not at once.
            ClientError::new(ErrorCode::ProviderOverloaded, message).with_retry_after(retry_after.unwrap_or(1))
        }
        ProviderError::Status { status: 500.., retry_after: Some(seconds), .. } => {
            let message = "The provider takes no requests for now; try again later.";
            ClientError::new(ErrorCode::ProviderOverloaded, message).with_retry_after(*seconds)
        }
        ProviderError::Reported { overloaded: true, .. } | ProviderError::Status { status: 529, .. } => {
            let message = "The provider is overloaded; try again shortly.";
            ClientError::new(ErrorCode::ProviderOverloaded, message).with_retry_after(1)
        }
        ProviderError::TimedOut { .. } | ProviderError::Unreachable { why: Obstacle::TimedOut, .. } => {
            ClientError::new(ErrorCode::ProviderTimeout, "The provider did not answer in time; try again.")
        }
        ProviderError::Cut | ProviderError::Broken(_) => {
            ClientError::new(ErrorCode::ProviderFailed, "The provider broke off its answer; try again.")
        }
        ProviderError::Unauthorized { .. }
        | ProviderError::Status { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::Reported { .. }
        | ProviderError::Garbage(_) => {
            ClientError::new(ErrorCode::ProviderFailed, "The provider could not answer; try again later.")
        }
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
pub(super) fn method_not_allowed(allow: &'static str) -> Failure {
    let error = ClientError::new(ErrorCode::MethodNotAllowed, format!("This path takes {allow} only."));
    Failure { allow: Some(allow), ..Failure::new(error) }
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
    if let Some(allow) = failure.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if failure.is_final {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(seconds) = failure.error.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
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
