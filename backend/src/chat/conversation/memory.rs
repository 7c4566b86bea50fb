//! Conversations in memory, for tests of what is built on them. Not a store: nothing of it is asked about durability.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use goblin_shared::request_id::RequestId;

use crate::ports::{Conversation, Conversations, NewTurn, Owner, PageCursor, StoreError, Turn};

/// One conversation and its turns, ascending.
type Kept = (Owner, Conversation, Vec<Turn>);

/// A fake of [`Conversations`].
#[derive(Default)]
pub(crate) struct InMemory {
    all: Mutex<BTreeMap<String, Kept>>,
    /// Every call fails.
    pub(crate) is_down: AtomicBool,
    /// Pages of turns that were asked for, backwards.
    pub(crate) pages: AtomicU32,
}

impl InMemory {
    fn all(&self) -> Result<MutexGuard<'_, BTreeMap<String, Kept>>, StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("10.0.0.7 is down".into()));
        }
        Ok(self.all.lock().unwrap())
    }

    /// Keeps a turn, as a settlement does.
    pub(crate) fn keep(&self, turn: NewTurn) {
        let mut all = self.all().unwrap();
        let Some((owner, conversation, turns)) = all.get_mut(&turn.conversation_id) else { return };
        if *owner != turn.owner {
            return;
        }
        conversation.turns += 1;
        conversation.updated_ms = turn.at_ms;
        conversation.prompt_tokens += turn.prompt_tokens;
        conversation.completion_tokens += turn.completion_tokens;
        turns.push(Turn {
            number: conversation.turns,
            request_id: RequestId::new(turn.at_ms, &[0; 10]),
            at_ms: turn.at_ms,
            model: turn.model,
            messages: turn.messages,
            prompt_tokens: turn.prompt_tokens,
            completion_tokens: turn.completion_tokens,
        });
    }
}

fn of<'a>(all: &'a BTreeMap<String, Kept>, owner: &Owner, id: &str) -> Option<&'a Kept> {
    all.get(id).filter(|(of, ..)| of == owner)
}

#[async_trait]
impl Conversations for InMemory {
    async fn create(&self, owner: &Owner, conversation: &Conversation) -> Result<(), StoreError> {
        let kept = (owner.clone(), conversation.clone(), Vec::new());
        self.all()?.insert(conversation.id.clone(), kept);
        Ok(())
    }

    async fn get(&self, owner: &Owner, id: &str) -> Result<Option<Conversation>, StoreError> {
        Ok(of(&*self.all()?, owner, id).map(|(_, conversation, _)| conversation.clone()))
    }

    async fn list(
        &self,
        owner: &Owner,
        after: Option<&PageCursor>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        let all = self.all()?;
        let mut own: Vec<_> =
            all.values().filter(|(of, ..)| of == owner).map(|(_, conversation, _)| conversation.clone()).collect();
        own.sort_by(|a, b| (b.updated_ms, &b.id).cmp(&(a.updated_ms, &a.id)));
        own.retain(|one| after.is_none_or(|after| (one.updated_ms, &one.id) < (after.updated_ms, &after.id)));
        own.truncate(limit as usize);
        Ok(own)
    }

    async fn turns(&self, owner: &Owner, id: &str, after: u32, limit: u32) -> Result<Option<Vec<Turn>>, StoreError> {
        let page = |turns: &Vec<Turn>| {
            turns.iter().filter(|turn| turn.number > after).take(limit as usize).cloned().collect::<Vec<_>>()
        };
        Ok(of(&*self.all()?, owner, id).map(|(_, _, turns)| page(turns)))
    }

    async fn turns_before(
        &self,
        owner: &Owner,
        id: &str,
        before: u32,
        limit: u32,
    ) -> Result<Option<Vec<Turn>>, StoreError> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        let page = |turns: &Vec<Turn>| {
            turns.iter().rev().filter(|turn| turn.number < before).take(limit as usize).cloned().collect::<Vec<_>>()
        };
        Ok(of(&*self.all()?, owner, id).map(|(_, _, turns)| page(turns)))
    }

    async fn rename(
        &self,
        owner: &Owner,
        id: &str,
        title: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Conversation>, StoreError> {
        let mut all = self.all()?;
        let Some((_, conversation, _)) = all.get_mut(id).filter(|(of, ..)| of == owner) else { return Ok(None) };
        conversation.title = title.map(str::to_owned);
        conversation.updated_ms = now_ms;
        Ok(Some(conversation.clone()))
    }

    async fn delete(&self, owner: &Owner, id: &str) -> Result<bool, StoreError> {
        let mut all = self.all()?;
        let is_own = of(&all, owner, id).is_some();
        if is_own {
            all.remove(id);
        }
        Ok(is_own)
    }

    async fn expire(&self, before_ms: u64, limit: u32) -> Result<u32, StoreError> {
        let mut all = self.all()?;
        let old = all.iter().filter(|(_, (_, conversation, _))| conversation.updated_ms < before_ms);
        let old: Vec<_> = old.map(|(id, _)| id.clone()).take(limit as usize).collect();
        for id in &old {
            all.remove(id);
        }
        Ok(u32::try_from(old.len()).unwrap())
    }
}
