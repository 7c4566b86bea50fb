//! The end of a request, which is the end of its answer's body, or the moment when its client leaves.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use goblin_shared::error_body::ErrorCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

use super::{chat_progress::ChatProgress, places::Place, request_context::LateFailure};
use crate::{
    chat::Outcome,
    monitoring::metrics::{Metrics, ServerRequest},
};

/// Status in the log of a request whose client left before the head of its answer.
const CLIENT_LEFT: u16 = 499;

/// Writes a request's line in the log and ends its span. Dropped before, the client has left.
pub(super) struct Ending {
    pub(super) span: Span,
    pub(super) received: Instant,
    pub(super) method: String,
    pub(super) route: Option<String>,
    /// The client's own `x-request-id`.
    pub(super) client_request_id: Option<String>,
    /// Lines of probes are for those who look closely.
    pub(super) is_probe: bool,
    pub(super) late_failure: LateFailure,
    pub(super) progress: ChatProgress,
    pub(super) metrics: Metrics,
    pub(super) status: Option<u16>,
    /// Who answered, `provider/model`.
    pub(super) answered_by: Option<String>,
    pub(super) code: Option<ErrorCode>,
    pub(super) ended: bool,
}

impl Ending {
    /// The head of the answer is made.
    pub(super) fn answered(&mut self, status: u16, code: Option<ErrorCode>) {
        self.status = Some(status);
        self.code = code;
        self.span.record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.record_failure(code.map_or("_OTHER", ErrorCode::as_str));
        }
    }

    fn record_failure(&self, error_type: &str) {
        self.span.record("error.type", error_type);
        self.span.record("otel.status_code", "ERROR");
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Taken, so that it ends with this function.
        let span = std::mem::replace(&mut self.span, Span::none());
        let late = self.late_failure.code();
        let failed = late.is_some() || self.status.is_some_and(|status| status >= 500);
        let outcome = if failed { Outcome::Failed } else { outcome };
        if let Some(code) = late {
            span.record("error.type", code.as_str());
            span.record("otel.status_code", "ERROR");
        }
        span.record(Outcome::ATTRIBUTE, outcome.as_str());
        let duration = self.received.elapsed();
        self.progress.ended(outcome);
        self.metrics.server_request(ServerRequest {
            method: &self.method,
            route: self.route.as_deref(),
            status: self.status,
            error_type: failed.then(|| late.or(self.code).map_or("_OTHER", ErrorCode::as_str)),
            duration,
        });
        let duration_ms = (duration.as_secs_f64() * 10_000.0).round() / 10.0;
        let (method, route) = (self.method.as_str(), self.route.as_deref());
        let status = self.status.unwrap_or(CLIENT_LEFT);
        let (outcome, code) = (outcome.as_str(), late.or(self.code).map(ErrorCode::as_str));
        let (answered_by, client_request_id) = (self.answered_by.as_deref(), self.client_request_id.as_deref());
        // Entering it also makes this moment its end.
        span.in_scope(|| {
            if self.is_probe {
                tracing::debug!(
                    method,
                    route,
                    status,
                    duration_ms,
                    outcome,
                    code,
                    answered_by,
                    client_request_id,
                    "request"
                );
            } else {
                tracing::info!(
                    method,
                    route,
                    status,
                    duration_ms,
                    outcome,
                    code,
                    answered_by,
                    client_request_id,
                    "request"
                );
            }
        });
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { Outcome::Failed } else { Outcome::Cancelled };
        self.end(outcome);
    }
}

/// A body that knows when it has ended, and keeps its request's span until then.
pub(super) struct AnswerBody {
    inner: Body,
    ending: Ending,
    /// The request's, as long as any of its answer is in memory.
    _place: Option<Arc<Place>>,
}

impl AnswerBody {
    pub(super) fn new(inner: Body, ending: Ending, place: Option<Arc<Place>>) -> Self {
        Self { inner, ending, _place: place }
    }

    fn end(&mut self, outcome: Outcome) {
        // What streams the body goes first, so that the spans within end before this one.
        let span = self.ending.span.clone();
        span.in_scope(|| drop(std::mem::take(&mut self.inner)));
        drop(span);
        self.ending.end(outcome);
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let span = self.ending.span.clone();
        let polled = span.in_scope(|| Pin::new(&mut self.inner).poll_frame(context));
        drop(span);
        match &polled {
            Poll::Ready(None) => self.end(Outcome::Completed),
            Poll::Ready(Some(Err(_))) => self.end(Outcome::Failed),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if !self.ending.ended {
            // A body of known length is given up with its last byte, and not asked once more for its end.
            let outcome = if self.inner.is_end_stream() {
                Outcome::Completed
            } else if std::thread::panicking() {
                Outcome::Failed
            } else {
                Outcome::Cancelled
            };
            self.end(outcome);
        }
    }
}
