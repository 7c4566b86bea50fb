//! OpenTelemetry's attributes for generative AI. Their names are still in development there: all of them are here.

use std::time::Duration;

use opentelemetry::{Array, StringValue, Value};
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, SERVER_ADDRESS, SERVER_PORT,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::ports::{AnswerFacts, Remote};

// The crate's own constants of these names are deprecated since the conventions moved to a repository of their own:
// <https://github.com/open-telemetry/semantic-conventions-genai>.
pub(super) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
pub(super) const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(super) const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
const GEN_AI_RESPONSE_ID: &str = "gen_ai.response.id";
const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";
const GEN_AI_RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
const GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Ours: the conventions have a pace of chunks alone.
const OUTPUT_TOKENS_PER_SECOND: &str = "goblin.output.tokens_per_second";
const GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";

/// Which tokens are meant, in metrics; [`INPUT_TOKENS`] or [`OUTPUT_TOKENS`].
pub(super) const GEN_AI_TOKEN_TYPE: &str = "gen_ai.token.type";
/// Those of the prompt.
pub(super) const INPUT_TOKENS: &str = "input";
/// Those of the answer.
pub(super) const OUTPUT_TOKENS: &str = "output";

/// Says what is asked of whom.
pub(crate) fn record_request(
    span: &Span,
    operation: &'static str,
    provider: &str,
    model: &str,
    remote: Option<&Remote>,
) {
    span.set_attribute(GEN_AI_OPERATION_NAME, operation);
    span.set_attribute(GEN_AI_PROVIDER_NAME, provider.to_owned());
    span.set_attribute(GEN_AI_REQUEST_MODEL, model.to_owned());
    if let Some(remote) = remote {
        span.set_attribute(SERVER_ADDRESS, remote.host.clone());
        span.set_attribute(SERVER_PORT, i64::from(remote.port));
    }
}

/// Says what is known of the answer.
pub(crate) fn record_response(span: &Span, facts: &AnswerFacts) {
    // The provider's words: what is none of an id, a name or a reason stays here.
    if let Some(id) = facts.id.as_ref().filter(|id| is_name(id)) {
        span.set_attribute(GEN_AI_RESPONSE_ID, id.clone());
    }
    if let Some(model) = facts.model.as_ref().filter(|model| is_name(model)) {
        span.set_attribute(GEN_AI_RESPONSE_MODEL, model.clone());
    }
    let reasons: Vec<_> = facts.finish_reasons.iter().filter(|reason| is_name(reason)).cloned().collect();
    if !reasons.is_empty() {
        let reasons = reasons.into_iter().map(StringValue::from).collect();
        span.set_attribute(GEN_AI_RESPONSE_FINISH_REASONS, Value::Array(Array::String(reasons)));
    }
    if let Some(usage) = &facts.usage {
        for (name, tokens) in [
            (GEN_AI_USAGE_INPUT_TOKENS, Some(usage.prompt_tokens)),
            (GEN_AI_USAGE_OUTPUT_TOKENS, Some(usage.completion_tokens)),
            (GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens),
            (GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, usage.cache_write_tokens),
        ] {
            if let Some(tokens) = tokens {
                span.set_attribute(name, count(tokens));
            }
        }
    }
}

/// Says how soon a streamed answer began, and how fast it came from then on.
pub(crate) fn record_pace(span: &Span, first_chunk: Duration, whole: Duration, facts: &AnswerFacts) {
    span.set_attribute(GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, first_chunk.as_secs_f64());
    let flowing = whole.saturating_sub(first_chunk).as_secs_f64();
    if let Some(usage) = &facts.usage
        && flowing > 0.0
    {
        #[expect(clippy::cast_precision_loss, reason = "answers have fewer than 2^53 tokens")]
        let pace = usage.completion_tokens as f64 / flowing;
        span.set_attribute(OUTPUT_TOKENS_PER_SECOND, pace);
    }
}

/// Says with which HTTP status the provider answered.
pub(crate) fn record_status(span: &Span, status: Option<u16>) {
    if let Some(status) = status {
        span.set_attribute(HTTP_RESPONSE_STATUS_CODE, i64::from(status));
    }
}

/// Says that the call failed, and by what.
pub(crate) fn record_failure(span: &Span, error_type: &str) {
    span.set_attribute(ERROR_TYPE, error_type.to_owned());
    span.set_status(opentelemetry::trace::Status::error(""));
}

/// Letters, digits and what stands between them in names, and not many: no text that somebody wrote.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 128;
    text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte))
}

fn count(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_texts() {
        for name in ["chatcmpl-9a", "models/gemini-2.5-flash", "anthropic.claude:1@eu", "stop", "tool_calls"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["I am Ann", "a\nb", "ü", &"x".repeat(129)] {
            assert!(!is_name(text), "{text}");
        }
    }
}
