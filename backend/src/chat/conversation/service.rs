//! What handlers ask of conversations.

use std::sync::Arc;

use bytes::Bytes;
use goblin_shared::{chat_request::ChatFacts, conversation};

use super::{
    assemble::{Request, Room, instruction_tokens},
    draft::TurnDraft,
    failure::ConversationFailure,
    history::{self, History},
    recorder::Recorder,
};
use crate::ports::{Clock, Conversation, Conversations, Ids, Owner, PageCursor, Principal, Turn};

/// Keeps conversations of callers.
pub(crate) struct ConversationService {
    store: Arc<dyn Conversations>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    /// Whether callers whom nobody named have conversations: all of them the same.
    anonymous: bool,
}

/// A chat that goes on with a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The body, as it came.
    pub(crate) body: &'a Bytes,
    /// What was read of it.
    pub(crate) facts: &'a ChatFacts<'a>,
    /// Tokens that the first model of the plan takes at once.
    pub(crate) context_window: u32,
    /// Tokens of them that the answer may take.
    pub(crate) answer_tokens: u32,
}

/// What is to be asked in its place.
#[derive(Debug)]
pub(crate) struct Continued {
    /// The body with what was said before, without `conversation_id`.
    pub(crate) body: Bytes,
    /// How many turns are left out, for the field `x-goblin-context-dropped` where it is not 0.
    pub(crate) dropped: u32,
    /// About how long its prompt is, in tokens. More than the window less the answer where nothing could be left out.
    pub(crate) prompt_tokens: u32,
    /// Takes the answer in.
    pub(crate) recorder: Recorder,
    /// Becomes the turn.
    pub(crate) draft: TurnDraft,
}

impl ConversationService {
    /// `anonymous`: callers whom nobody named have conversations too, which is so where `auth.mode` is `off`.
    pub(crate) fn new(
        store: Arc<dyn Conversations>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        anonymous: bool,
    ) -> Self {
        Self { store, clock, ids, anonymous }
    }

    /// Whose conversations a caller has.
    fn owner<'a>(&self, principal: &'a Principal) -> Result<&'a Owner, ConversationFailure> {
        if principal.anonymous && !self.anonymous {
            return Err(ConversationFailure::Anonymous);
        }
        Ok(&principal.owner)
    }

    /// As [`Self::owner`], and the id is in form: what is not, no store need be asked for.
    fn owner_of<'a>(&self, principal: &'a Principal, id: &str) -> Result<&'a Owner, ConversationFailure> {
        let owner = self.owner(principal)?;
        if conversation::is_id(id) { Ok(owner) } else { Err(ConversationFailure::NotFound) }
    }

    /// Puts what was said before into a request. Nothing is kept before [`TurnDraft::complete`].
    pub(crate) async fn begin(
        &self,
        principal: &Principal,
        id: &str,
        asked: Asked<'_>,
    ) -> Result<Continued, ConversationFailure> {
        let owner = self.owner_of(principal, id)?;
        let request = Request::read(asked.body)?;
        let conversation = self.store.get(owner, id).await?.ok_or(ConversationFailure::NotFound)?;
        let instructions = conversation.instructions.as_deref().filter(|_| !request.is_instructed());
        let base = asked.facts.prompt_tokens.saturating_add(instructions.map_or(0, instruction_tokens));
        let room = Room { tokens: asked.context_window.saturating_sub(asked.answer_tokens), base };
        let History { past, dropped } = history::load(&*self.store, owner, id, &request, room).await?;
        let prompt_tokens = past.iter().fold(base, |sum, turn| sum.saturating_add(turn.tokens()));
        let draft = TurnDraft {
            conversation_id: conversation.id.clone(),
            owner: owner.clone(),
            number: u64::from(conversation.turns) + 1,
            messages: request.kept(),
        };
        let body = request.assemble(instructions, &past);
        Ok(Continued { body, dropped, prompt_tokens, recorder: Recorder::default(), draft })
    }

    /// Makes a new one.
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        title: Option<String>,
        instructions: Option<String>,
    ) -> Result<Conversation, ConversationFailure> {
        let owner = self.owner(principal)?;
        let now = self.clock.unix_millis();
        let conversation = Conversation {
            id: self.ids.conversation_id(),
            title,
            instructions,
            created_ms: now,
            updated_ms: now,
            turns: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
        };
        self.store.create(owner, &conversation).await?;
        Ok(conversation)
    }

    /// Up to `limit` of the caller's, the latest changed first, after `after`.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        after: Option<&PageCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, ConversationFailure> {
        Ok(self.store.list(self.owner(principal)?, after, limit).await?)
    }

    /// One of the caller's.
    pub(crate) async fn get(&self, principal: &Principal, id: &str) -> Result<Conversation, ConversationFailure> {
        let owner = self.owner_of(principal, id)?;
        self.store.get(owner, id).await?.ok_or(ConversationFailure::NotFound)
    }

    /// Up to `limit` turns ascending, those after number `after`.
    pub(crate) async fn turns(
        &self,
        principal: &Principal,
        id: &str,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Turn>, ConversationFailure> {
        let owner = self.owner_of(principal, id)?;
        self.store.turns(owner, id, after, limit).await?.ok_or(ConversationFailure::NotFound)
    }

    /// Gives it another title, or none.
    pub(crate) async fn rename(
        &self,
        principal: &Principal,
        id: &str,
        title: Option<&str>,
    ) -> Result<Conversation, ConversationFailure> {
        let owner = self.owner_of(principal, id)?;
        let now = self.clock.unix_millis();
        self.store.rename(owner, id, title, now).await?.ok_or(ConversationFailure::NotFound)
    }

    /// Deletes it, with all that was said in it.
    pub(crate) async fn delete(&self, principal: &Principal, id: &str) -> Result<(), ConversationFailure> {
        let owner = self.owner_of(principal, id)?;
        if self.store.delete(owner, id).await? { Ok(()) } else { Err(ConversationFailure::NotFound) }
    }
}
