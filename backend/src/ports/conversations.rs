//! Conversations that users want kept.

use async_trait::async_trait;
use goblin_shared::request_id::RequestId;

use super::{Owner, StoreError};

/// A conversation, without what was said in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// `conv_` and 24 characters.
    pub(crate) id: String,
    /// What its owner calls it.
    pub(crate) title: Option<String>,
    /// What stands before its turns in every prompt.
    pub(crate) instructions: Option<String>,
    /// Milliseconds since 1970, as all times here.
    pub(crate) created_ms: u64,
    /// When it was created, renamed, or got its last turn.
    pub(crate) updated_ms: u64,
    /// How many turns it has.
    pub(crate) turns: u32,
    /// Tokens of all its prompts together, the context that was sent along each time included.
    pub(crate) prompt_tokens: u64,
    /// Tokens of all its answers together.
    pub(crate) completion_tokens: u64,
}

/// What a request and its answer add to a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTurn {
    /// To which.
    pub(crate) conversation_id: String,
    /// Whose that must be.
    pub(crate) owner: Owner,
    /// When the answer was complete.
    pub(crate) at_ms: u64,
    /// Who answered, `provider/model`.
    pub(crate) model: String,
    /// A JSON array of messages in OpenAI's shape: the client's new ones, then the answer.
    pub(crate) messages: String,
    /// Tokens of the prompt, context included.
    pub(crate) prompt_tokens: u64,
    /// Tokens of the answer.
    pub(crate) completion_tokens: u64,
}

/// A turn as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// From 1, ascending.
    pub(crate) number: u32,
    /// The request that it came from.
    pub(crate) request_id: RequestId,
    /// When its answer was complete.
    pub(crate) at_ms: u64,
    /// Who answered, `provider/model`.
    pub(crate) model: String,
    /// A JSON array of messages in OpenAI's shape.
    pub(crate) messages: String,
    /// Tokens of the prompt, context included.
    pub(crate) prompt_tokens: u64,
    /// Tokens of the answer.
    pub(crate) completion_tokens: u64,
}

/// Where a page of a list begins: after this conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageCursor {
    /// Its `updated_ms`.
    pub(crate) updated_ms: u64,
    /// Its id.
    pub(crate) id: String,
}

/// Where conversations are kept. Somebody else's are as if they were not there.
#[async_trait]
pub(crate) trait Conversations: Send + Sync {
    /// Keeps a new one, without turns.
    async fn create(&self, owner: &Owner, conversation: &Conversation) -> Result<(), StoreError>;

    /// One of `owner`'s.
    async fn get(&self, owner: &Owner, id: &str) -> Result<Option<Conversation>, StoreError>;

    /// Up to `limit` of `owner`'s, the latest changed first (ties by id, descending), those after `after`.
    async fn list(
        &self,
        owner: &Owner,
        after: Option<&PageCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError>;

    /// Up to `limit` turns ascending, those with numbers above `after`. `None`: no such conversation.
    async fn turns(&self, owner: &Owner, id: &str, after: u32, limit: u32) -> Result<Option<Vec<Turn>>, StoreError>;

    /// Up to `limit` turns descending, those with numbers below `before`. `None`: no such conversation.
    async fn turns_before(
        &self,
        owner: &Owner,
        id: &str,
        before: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError>;

    /// Gives it another title (`None`: none). What it is then; `None`: no such conversation.
    async fn rename(
        &self,
        owner: &Owner,
        id: &str,
        title: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Conversation>, StoreError>;

    /// Deletes it with all its turns, so that nothing of it can be found in the store's files any more. `false`: no such
    /// conversation.
    async fn delete(&self, owner: &Owner, id: &str) -> Result<bool, StoreError>;

    /// Deletes up to `limit` that did not change since `before_ms`, likewise; how many there were.
    async fn expire(&self, before_ms: u64, limit: u32) -> Result<u32, StoreError>;
}
