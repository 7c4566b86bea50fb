//! The span of one call of a provider, from before it is made to the end of its answer.

use goblin_shared::{api::Api, catalogue::Target, trace_context::TraceParent};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::outcome::Outcome;
use crate::{
    monitoring::{genai, tracing::traceparent},
    ports::{AnswerFacts, ProviderError, Remote},
};

/// The attribute that says which call of its request it is, from 1.
const ATTEMPT: &str = "goblin.attempt";

/// A call under way. Dropped before it ends, it was given up.
pub(super) struct CallSpan {
    span: Span,
    facts: AnswerFacts,
    /// The provider's status is recorded.
    answered: bool,
    ended: bool,
}

impl CallSpan {
    /// Begins the span of the request's call `number`, as a child of the current one.
    pub(super) fn begin(api: Api, target: &Target, remote: Option<&Remote>, number: u32) -> Self {
        // A provider without a server is part of this program.
        let kind = if remote.is_some() { "client" } else { "internal" };
        let operation = match api {
            Api::ChatCompletions | Api::Messages => "chat",
            Api::Embeddings => "embeddings",
        };
        let span = info_span!("call", otel.name = format!("{operation} {}", target.model), otel.kind = kind);
        genai::record_request(&span, operation, &target.provider, &target.model, remote);
        span.set_attribute(ATTEMPT, i64::from(number));
        Self { span, facts: AnswerFacts::default(), answered: false, ended: false }
    }

    /// Names the span to the provider.
    pub(super) fn traceparent(&self, random_trace_id: bool) -> Option<TraceParent> {
        traceparent(&self.span, random_trace_id)
    }

    /// What is known of the answer.
    pub(super) fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    /// The head of the provider's answer is here.
    pub(super) fn answered_with(&mut self, status: Option<u16>) {
        self.answered |= status.is_some();
        genai::record_status(&self.span, status);
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.end(Outcome::Completed);
    }

    /// The call failed. Its cause goes to the log here, as the request may yet succeed.
    pub(super) fn fail(&mut self, error: &ProviderError) {
        // An error within an answer is sorted as the status that it stands for, which is not the one that came.
        if !self.answered {
            genai::record_status(&self.span, error.status());
        }
        genai::record_failure(&self.span, &error.error_type());
        self.end(Outcome::Failed);
    }

    fn end(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.ended, true) {
            genai::record_response(&self.span, &self.facts);
            self.span.set_attribute(Outcome::ATTRIBUTE, outcome.as_str());
            // Giving it up ends it.
            self.span = Span::none();
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}
