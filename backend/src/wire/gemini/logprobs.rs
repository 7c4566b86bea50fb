//! Probabilities of tokens.

use serde::Deserialize;
use serde_json::{Number, Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    /// The most likely tokens at each place.
    #[serde(default)]
    top_candidates: Vec<TopCandidates>,
    /// The tokens of the answer.
    #[serde(default)]
    chosen_candidates: Vec<Token>,
}

#[derive(Deserialize)]
struct TopCandidates {
    #[serde(default)]
    candidates: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    #[serde(default)]
    token: String,
    log_probability: Number,
}

impl LogprobsResult {
    /// In OpenAI's shape. Its `bytes` are null: a token here is a text, which need not be all of its bytes.
    /// `None` where nothing is told.
    pub(super) fn read(&self) -> Option<Value> {
        let token = |Token { token, log_probability }: &Token| json!({ "token": token, "logprob": log_probability, "bytes": null });
        let mut tops = self.top_candidates.iter();
        let content: Vec<Value> = self
            .chosen_candidates
            .iter()
            .map(|chosen| {
                let top = tops.next().map_or(&[][..], |top| &top.candidates);
                let mut chosen = token(chosen);
                chosen["top_logprobs"] = top.iter().map(token).collect();
                chosen
            })
            .collect();
        (!content.is_empty()).then(|| json!({ "content": content, "refusal": null }))
    }
}
