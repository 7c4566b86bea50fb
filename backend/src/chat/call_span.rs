//! The span of one call of a provider, from before it is made to the end of its answer.

use std::time::Duration;

use goblin_shared::{api::Api, catalogue::Target, trace_context::TraceParent};
use tokio::time::Instant;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::outcome::Outcome;
use crate::{
    monitoring::{
        genai,
        metrics::{Metrics, ProviderCall},
        tracing::traceparent,
    },
    ports::{AnswerFacts, ProviderError, Remote},
};

/// The attribute that says which call of its request it is, from 1.
const ATTEMPT: &str = "goblin.attempt";

/// A call under way. Dropped before it ends, it was given up.
pub(super) struct CallSpan {
    span: Span,
    metrics: Metrics,
    operation: &'static str,
    target: Target,
    server: Option<(String, u16)>,
    begun: Instant,
    first_chunk: Option<Duration>,
    facts: AnswerFacts,
    /// The provider's status, once it is known.
    status: Option<u16>,
    error_type: Option<String>,
    ended: bool,
}

impl CallSpan {
    /// Begins the span of the request's call `number`, as a child of the current one.
    pub(super) fn begin(metrics: &Metrics, api: Api, target: &Target, remote: Option<&Remote>, number: u32) -> Self {
        // A provider without a server is part of this program.
        let kind = if remote.is_some() { "client" } else { "internal" };
        let operation = match api {
            Api::ChatCompletions | Api::Messages => "chat",
            Api::Embeddings => "embeddings",
        };
        let span = info_span!("call", otel.name = format!("{operation} {}", target.model), otel.kind = kind);
        genai::record_request(&span, operation, &target.provider, &target.model, remote);
        span.set_attribute(ATTEMPT, i64::from(number));
        Self {
            span,
            metrics: metrics.clone(),
            operation,
            target: target.clone(),
            server: remote.map(|remote| (remote.host.clone(), remote.port)),
            begun: Instant::now(),
            first_chunk: None,
            facts: AnswerFacts::default(),
            status: None,
            error_type: None,
            ended: false,
        }
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
        self.status = self.status.or(status);
        genai::record_status(&self.span, status);
    }

    /// The first content of a streamed answer is here.
    pub(super) fn first_chunk(&mut self) {
        self.first_chunk = Some(self.begun.elapsed());
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.end(Outcome::Completed);
    }

    /// The call failed. Its cause goes to the log here, as the request may yet succeed.
    pub(super) fn fail(&mut self, error: &ProviderError) {
        // An error within an answer is sorted as the status that it stands for, which is not the one that came.
        if self.status.is_none() {
            self.status = error.status();
            genai::record_status(&self.span, self.status);
        }
        let error_type = error.error_type();
        genai::record_failure(&self.span, &error_type);
        self.error_type = Some(error_type.into());
        self.end(Outcome::Failed);
    }

    fn end(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.ended, true) {
            let duration = self.begun.elapsed();
            genai::record_response(&self.span, &self.facts);
            if let Some(first_chunk) = self.first_chunk {
                genai::record_pace(&self.span, first_chunk, duration, &self.facts);
            }
            self.metrics.provider_call(&ProviderCall {
                operation: self.operation,
                target: &self.target,
                server: self.server.as_ref().map(|(host, port)| (host.as_str(), *port)),
                status: self.status,
                outcome: outcome.as_str(),
                error_type: self.error_type.as_deref(),
                duration,
                first_chunk: self.first_chunk,
                tokens: self.facts.usage.as_ref().map(|usage| (usage.prompt_tokens, usage.completion_tokens)),
            });
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
