//! Tokens in Anthropic's shape, where those of the prompt are counted without what was cached.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ports;

/// Tokens of a request and its answer. In a stream each piece tells some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesUsage)]
pub(crate) struct Usage {
    /// Of the prompt, without those of the cache.
    #[serde(default)]
    pub(crate) input_tokens: Option<u64>,
    /// Of the answer, with its thinking.
    #[serde(default)]
    pub(crate) output_tokens: Option<u64>,
    /// Of the prompt, those that came from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_read_input_tokens: Option<u64>,
    /// Of the prompt, those that were written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_creation_input_tokens: Option<u64>,
    /// More about those of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output_tokens_details: Option<OutputTokensDetails>,
}

/// More about the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesOutputTokensDetails)]
pub(crate) struct OutputTokensDetails {
    /// Those that were thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thinking_tokens: Option<u64>,
}

impl Usage {
    /// Takes in what a later piece of a stream tells: its counts are of all so far.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }
}

impl From<Usage> for ports::Usage {
    fn from(usage: Usage) -> Self {
        let prompt = [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
        Self {
            prompt_tokens: prompt.into_iter().flatten().fold(0, u64::saturating_add),
            completion_tokens: usage.output_tokens.unwrap_or_default(),
            cached_tokens: usage.cache_read_input_tokens,
            cache_write_tokens: usage.cache_creation_input_tokens,
            reasoning_tokens: usage.output_tokens_details.and_then(|details| details.thinking_tokens),
        }
    }
}

impl From<ports::Usage> for Usage {
    fn from(usage: ports::Usage) -> Self {
        let cached = usage.cached_tokens.unwrap_or_default();
        let written = usage.cache_write_tokens.unwrap_or_default();
        Self {
            input_tokens: Some(usage.prompt_tokens.saturating_sub(cached).saturating_sub(written)),
            output_tokens: Some(usage.completion_tokens),
            cache_read_input_tokens: usage.cached_tokens,
            cache_creation_input_tokens: usage.cache_write_tokens,
            output_tokens_details: usage
                .reasoning_tokens
                .map(|tokens| OutputTokensDetails { thinking_tokens: Some(tokens) }),
        }
    }
}
