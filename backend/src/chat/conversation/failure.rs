//! Why something cannot be done with a conversation.

use crate::ports::StoreError;

/// Why something cannot be done with a conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversationFailure {
    /// The caller has none of this id; somebody else may.
    #[error("the caller has no such conversation")]
    NotFound,
    /// Nobody was named, so that it would be everybody's.
    #[error("conversations are somebody's, and nobody was named")]
    Anonymous,
    /// The request is at fault.
    #[error("`{param}` cannot be used: {message}")]
    Invalid {
        /// Its field.
        param: String,
        /// What to do about it, in a sentence for the client; it repeats no value of the request.
        message: String,
    },
    /// Nothing is kept here.
    #[error("the service keeps no conversations")]
    NotKept,
    /// It cannot be said.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConversationFailure {
    /// A field at fault, and what to do about it.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), message: message.into() }
    }
}
