//! The span of one call of a provider, from before it is made to the end of its answer.

use goblin_shared::{catalogue::Target, trace_context::TraceParent};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{answer_facts::AnswerFacts, outcome::Outcome};
use crate::{
    monitoring::{genai, tracing::traceparent},
    ports::{ProviderError, Remote},
};

/// A call under way. Dropped before it ends, it was given up.
pub(super) struct CallSpan {
    span: Span,
    facts: AnswerFacts,
    ended: bool,
}

impl CallSpan {
    /// Begins the span, as a child of the current one.
    pub(super) fn begin(target: &Target, remote: Option<&Remote>) -> Self {
        // A provider without a server is part of this program.
        let kind = if remote.is_some() { "client" } else { "internal" };
        let span = info_span!("chat", otel.name = format!("chat {}", target.model), otel.kind = kind);
        genai::record_request(&span, &target.provider, &target.model, remote);
        Self { span, facts: AnswerFacts::default(), ended: false }
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
    pub(super) fn answered_with(&self, status: Option<u16>) {
        genai::record_status(&self.span, status);
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.end(Outcome::Completed);
    }

    /// The call failed.
    pub(super) fn fail(&mut self, error: &ProviderError) {
        genai::record_status(&self.span, error.status());
        genai::record_failure(&self.span, &error.error_type());
        self.end(Outcome::Failed);
    }

    fn end(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.ended, true) {
            let response = genai::Response {
                id: self.facts.id.as_deref(),
                model: self.facts.model.as_deref(),
                finish_reasons: &self.facts.finish_reasons,
                tokens: self.facts.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)),
            };
            genai::record_response(&self.span, &response);
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
