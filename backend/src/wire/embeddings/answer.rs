//! Gemini's answer, said in OpenAI's words.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::{
    ports::Usage,
    wire::{Unreadable, lenient},
};

/// Gemini's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    embeddings: Vec<Values>,
    #[serde(default, deserialize_with = "lenient::member")]
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
}

/// Embeddings in the order of the inputs.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingList<'a> {
    /// Always `list`.
    object: &'static str,
    data: Vec<Embedding>,
    /// The model that made them.
    model: &'a str,
    /// Left out where the provider does not count tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<EmbeddingUsage>,
}

/// The embedding of one input.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "they are the API's")]
pub(crate) struct Embedding {
    /// Always `embedding`.
    object: &'static str,
    /// Place of the input, from 0.
    index: usize,
    embedding: Vector,
}

/// As `encoding_format` asked for it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Vector {
    /// Numbers.
    #[schema(value_type = Vec<f64>)]
    Float(Vec<Number>),
    /// Base64 of 32-bit floats, little-endian.
    Base64(String),
}

/// Tokens of all inputs.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    prompt_tokens: u64,
    /// The same: nothing is generated.
    total_tokens: u64,
}

/// Gemini's answer in OpenAI's shape, with usage where it is told.
///
/// Most of Gemini's embedding models tell none. The member is then left out: zeros would be taken for a count. OpenAI's
/// shape has no id. `inputs` is how many embeddings were asked for: where another number came, nobody knows whose they are.
pub(crate) fn from_gemini(
    answer: &[u8],
    model: &str,
    base64: bool,
    inputs: usize,
) -> Result<(Vec<u8>, Option<Usage>), Unreadable> {
    let batch: Batch = serde_json::from_slice(answer).map_err(|_| Unreadable("it is no BatchEmbedContentsResponse"))?;
    if batch.embeddings.len() != inputs {
        return Err(Unreadable("it has more or fewer embeddings than were asked for"));
    }
    let usage = batch.usage_metadata.and_then(|usage| usage.prompt_token_count);
    let embedding = |(index, Values { values })| {
        let embedding = if base64 { Vector::Base64(encode(&values)) } else { Vector::Float(values) };
        Embedding { object: "embedding", index, embedding }
    };
    let list = EmbeddingList {
        object: "list",
        data: batch.embeddings.into_iter().enumerate().map(embedding).collect(),
        model,
        usage: usage.map(|tokens| EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens }),
    };
    let json = serde_json::to_vec(&list).map_err(|_| Unreadable("it cannot be written as JSON"))?;
    Ok((json, usage.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() })))
}

#[expect(clippy::cast_possible_truncation, reason = "the form has 32 bits, and models calculate with fewer")]
fn encode(values: &[Number]) -> String {
    let floats = values.iter().map(|value| value.as_f64().unwrap_or_default() as f32);
    STANDARD.encode(floats.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
}
