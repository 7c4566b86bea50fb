//! A chat that goes on with a conversation.

use bytes::Bytes;
use goblin_shared::{
    chat_request::ChatFacts,
    error_body::{ClientError, ErrorCode},
};

use super::{authenticate::insufficient_scope, errors::Failure, layers::Service};
use crate::{
    chat::{
        Usable,
        conversation::{Asked, Continued, ConversationFailure},
    },
    ports::{Principal, Scope},
};

/// Puts what was said before into a request that names a conversation. As much as the first of the plan takes: those
/// that take less are not asked.
pub(super) async fn resume(
    service: &Service,
    principal: &Principal,
    body: &Bytes,
    facts: &ChatFacts<'_>,
    entries: Vec<Usable>,
) -> Result<(Vec<Usable>, Option<Continued>), Failure> {
    let Some(id) = facts.conversation_id else { return Ok((entries, None)) };
    if facts.choices > 1 {
        let message = "A conversation goes on with one answer; leave `n` out, or `conversation_id`.";
        return Err(ClientError::new(ErrorCode::InvalidField, message).with_param("n").into());
    }
    if !principal.scopes.contains(Scope::Conversations) {
        return Err(insufficient_scope(Scope::Conversations));
    }
    let conversations = service.conversations.as_ref().ok_or(ConversationFailure::NotKept)?;
    let window = |entry: &Usable| {
        let model = service.chat.catalogue().model(&entry.target);
        model.map_or((0, 0), |model| (model.context_window, model.max_output_tokens))
    };
    let (context_window, longest) = entries.first().map_or((0, 0), window);
    // Nobody who does not say how long it may be wants half of the conversation to be forgotten for it.
    let answer_tokens = facts.output_tokens.unwrap_or_else(|| longest.min(context_window / 4));
    let asked = Asked { body, facts, context_window, answer_tokens };
    let resumed = conversations.begin(principal, id, asked).await?;
    let needed = resumed.prompt_tokens.saturating_add(facts.output_tokens.unwrap_or(0));
    let entries: Vec<Usable> = entries.into_iter().filter(|entry| window(entry).0 >= needed).collect();
    if entries.is_empty() {
        let message = format!(
            "The prompt has some {} tokens with the conversation's instructions, which is more than the models asked for \
             take; shorten it.",
            resumed.prompt_tokens
        );
        return Err(ClientError::new(ErrorCode::ContextLengthExceeded, message).with_param("messages").into());
    }
    Ok((entries, Some(resumed)))
}
