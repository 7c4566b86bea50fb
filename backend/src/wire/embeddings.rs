//! Embeddings: OpenAI's shape, which clients speak, and Gemini's `batchEmbedContents`.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/embeddings>, <https://ai.google.dev/api/embeddings>.

mod answer;
mod facts;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    answer::{EmbeddingList, from_gemini},
    facts::read_facts,
    request::to_gemini,
};
