//! Tokens in OpenAI's shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ports;

/// Tokens of a request and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatUsage)]
pub(crate) struct Usage {
    /// Of the prompt, with what was cached.
    pub(crate) prompt_tokens: u64,
    /// Of the answer, with its reasoning. Embeddings have none.
    #[serde(default)]
    pub(crate) completion_tokens: u64,
    /// Of both.
    #[serde(default)]
    pub(crate) total_tokens: u64,
    /// More about those of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_tokens_details: Option<PromptTokensDetails>,
    /// More about those of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) completion_tokens_details: Option<CompletionTokensDetails>,
}

/// More about the tokens of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatPromptTokensDetails)]
pub(crate) struct PromptTokensDetails {
    /// Those that came from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cached_tokens: Option<u64>,
    /// Those that were written to a cache; OpenRouter's member
    /// (<https://openrouter.ai/docs/use-cases/usage-accounting>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write_tokens: Option<u64>,
}

/// More about the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCompletionTokensDetails)]
pub(crate) struct CompletionTokensDetails {
    /// Those that were reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_tokens: Option<u64>,
}

impl From<Usage> for ports::Usage {
    fn from(usage: Usage) -> Self {
        let prompt = usage.prompt_tokens_details.unwrap_or_default();
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: prompt.cached_tokens,
            cache_write_tokens: prompt.cache_write_tokens,
            reasoning_tokens: usage.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        }
    }
}

impl From<ports::Usage> for Usage {
    fn from(usage: ports::Usage) -> Self {
        let ports::Usage { prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens } =
            usage;
        let has_prompt_details = cached_tokens.or(cache_write_tokens).is_some();
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: has_prompt_details
                .then_some(PromptTokensDetails { cached_tokens, cache_write_tokens }),
            completion_tokens_details: reasoning_tokens
                .map(|tokens| CompletionTokensDetails { reasoning_tokens: Some(tokens) }),
        }
    }
}
