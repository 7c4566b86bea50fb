//! What the client is told when something cannot be done with a conversation.

use goblin_shared::error_body::{ClientError, ErrorCode};

use crate::{chat::conversation::ConversationFailure, http::errors::Failure};

impl From<ConversationFailure> for Failure {
    fn from(failure: ConversationFailure) -> Self {
        let error = match &failure {
            // The same for what is somebody else's, so that nobody learns of it.
            ConversationFailure::NotFound => ClientError::new(
                ErrorCode::ConversationNotFound,
                "You have no such conversation; GET /v1/conversations lists those that you have.",
            ),
            ConversationFailure::Anonymous => ClientError::new(
                ErrorCode::AuthenticationRequired,
                "Conversations belong to somebody: send an API key as `authorization: Bearer …` or `x-api-key: …`.",
            ),
            ConversationFailure::Invalid { param, message } => {
                ClientError::new(ErrorCode::InvalidField, message.clone()).with_param(param.clone())
            }
            ConversationFailure::NotKept => ClientError::new(
                ErrorCode::NotFound,
                "This service keeps no conversations; send all messages with each request.",
            ),
            ConversationFailure::Store(_) => {
                let message = "Conversations cannot be reached at the moment; try again shortly.";
                ClientError::new(ErrorCode::StoreUnavailable, message).with_retry_after(1)
            }
        };
        Self::new(error).caused_by(failure)
    }
}
