//! The wire formats of three families, and how each is said in the others' words. Data alone: no I/O, no clock.
//!
//! A client's request is read into the neutral form and written in the provider's format; the answer comes back the
//! same way. Where client and provider speak the same format nothing of this is used but the reading of facts: their
//! bytes pass. What cannot be said is an [`Inexpressible`](crate::ports::Inexpressible) that names the field, and
//! nothing is dropped in silence.

pub(crate) mod anthropic;
mod arguments;
mod data_url;
pub(crate) mod delivered;
pub(crate) mod embeddings;
pub(crate) mod family;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod gemini;
mod lenient;
pub(crate) mod neutral;
pub(crate) mod openai;
mod places;
pub(crate) mod sse;
mod strict;
#[cfg(test)]
mod tests;

/// What the provider sent is not of its wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// What translated answers need to know beside what the provider says.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Unique; for an id where the provider gives none.
    pub(crate) request_id: goblin_shared::request_id::RequestId,
    /// Seconds since 1970, for answers that tell when they were made.
    pub(crate) created: u64,
    /// The name of the model, where the provider does not say it.
    pub(crate) model: String,
}

/// The model that a request is written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    /// What the server calls it.
    pub(crate) name: String,
    /// Longest answer in tokens, where it is known.
    pub(crate) max_output_tokens: Option<u64>,
    /// It can reason: it takes what is said about that, be it that it is not to.
    pub(crate) reasons: bool,
}

impl Model {
    /// One of which no more is known than its name.
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), max_output_tokens: None, reasons: true }
    }
}

/// What is to be done with an event that passes as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It goes to the client; `content` as in [`Chunk`](crate::ports::Chunk).
    Chunk {
        /// A reader waits for it.
        content: bool,
    },
    /// It tells usage alone, and goes to clients that asked for it.
    UsageOnly,
    /// It goes to the client, and is the last.
    LastChunk,
    /// It says that the answer is complete, and is for us alone.
    Done,
    /// It is for nobody, such as a blank one.
    Nothing,
}
