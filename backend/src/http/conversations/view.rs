//! Conversations as clients see them.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    http::errors::Failure,
    ports::{Conversation, StoreError, Turn},
};

/// A conversation, without what was said in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(in crate::http) struct ConversationView {
    /// Goes as `conversation_id` with chat completions.
    id: String,
    /// Always `conversation`.
    object: &'static str,
    /// What its owner calls it.
    title: Option<String>,
    /// What stands before its turns in every prompt.
    instructions: Option<String>,
    /// When it was created, in seconds since 1970.
    created_at: u64,
    /// When it was created, renamed, or got its last turn; likewise.
    updated_at: u64,
    /// How many turns it has.
    turns: u32,
    usage: ConversationUsage,
}

/// Tokens of all requests together, the context that was sent along each time included.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as OpenAI names them")]
pub(in crate::http) struct ConversationUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// What a request and its answer added to a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationTurn)]
pub(in crate::http) struct TurnView {
    /// Always `conversation.turn`.
    object: &'static str,
    /// From 1, ascending.
    number: u32,
    /// The request that it came from.
    request_id: String,
    /// When its answer was complete, in seconds since 1970.
    created_at: u64,
    /// Who answered, `provider/model`.
    model: String,
    /// Messages in the shape of chat completions: those that the client added, then the answer.
    #[schema(value_type = Vec<Object>)]
    messages: Box<RawValue>,
    usage: ConversationUsage,
}

/// A page of conversations, the latest changed first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ConversationList {
    /// Always `list`.
    object: &'static str,
    data: Vec<ConversationView>,
    /// Whether there is another page.
    has_more: bool,
    /// What to give as `after` for the next page; null where there is none.
    next: Option<String>,
}

/// A page of turns, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TurnList {
    /// Always `list`.
    object: &'static str,
    data: Vec<TurnView>,
    /// Whether there is another page.
    has_more: bool,
    /// What to give as `after` for the next page; null where there is none.
    next: Option<String>,
}

/// All of a conversation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written piece by piece")]
pub(in crate::http) struct ConversationExport {
    /// Always `conversation.export`.
    object: String,
    conversation: ConversationView,
    turns: Vec<TurnView>,
}

impl ConversationUsage {
    fn of(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens.saturating_add(completion_tokens) }
    }
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            object: "conversation",
            title: conversation.title,
            instructions: conversation.instructions,
            created_at: conversation.created_ms / 1_000,
            updated_at: conversation.updated_ms / 1_000,
            turns: conversation.turns,
            usage: ConversationUsage::of(conversation.prompt_tokens, conversation.completion_tokens),
        }
    }
}

impl TryFrom<Turn> for TurnView {
    type Error = StoreError;

    fn try_from(turn: Turn) -> Result<Self, StoreError> {
        let messages =
            RawValue::from_string(turn.messages).map_err(|_| StoreError::Corrupt("messages of a turn are no JSON"))?;
        Ok(Self {
            object: "conversation.turn",
            number: turn.number,
            request_id: turn.request_id.to_string(),
            created_at: turn.at_ms / 1_000,
            model: turn.model,
            messages,
            usage: ConversationUsage::of(turn.prompt_tokens, turn.completion_tokens),
        })
    }
}

impl ConversationList {
    pub(super) fn of(found: Vec<Conversation>, next: Option<String>) -> Self {
        Self { object: "list", data: found.into_iter().map(Into::into).collect(), has_more: next.is_some(), next }
    }
}

impl TurnList {
    pub(super) fn of(found: Vec<Turn>, next: Option<String>) -> Result<Self, Failure> {
        let data: Result<_, StoreError> = found.into_iter().map(TryInto::try_into).collect();
        let data = data.map_err(crate::chat::conversation::ConversationFailure::from)?;
        Ok(Self { object: "list", data, has_more: next.is_some(), next })
    }
}
