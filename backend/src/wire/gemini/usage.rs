//! Tokens.

use serde::Deserialize;

use crate::ports::Usage;

/// Counts that are zero may be left out, as protocol buffers do.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are the API's")]
pub(super) struct UsageMetadata {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

impl UsageMetadata {
    /// In our terms: what was cached is counted within the prompt, thoughts beside the candidates, and what the server's
    /// own tools read beside the prompt. `None` where nothing is counted.
    /// Source: <https://ai.google.dev/api/generate-content#UsageMetadata>.
    pub(super) fn read(&self) -> Option<Usage> {
        let prompt = [self.prompt_token_count, self.tool_use_prompt_token_count];
        let completion = [self.candidates_token_count, self.thoughts_token_count];
        if prompt.iter().chain(&completion).all(Option::is_none) {
            return None;
        }
        let sum = |counts: [Option<u64>; 2]| counts.into_iter().flatten().fold(0, u64::saturating_add);
        Some(Usage {
            prompt_tokens: sum(prompt),
            completion_tokens: sum(completion),
            cached_tokens: self.cached_content_token_count,
            cache_write_tokens: None,
            reasoning_tokens: self.thoughts_token_count,
        })
    }
}
