//! Through the service, on conversations in memory.

mod answers;
mod contexts;
mod properties;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use goblin_shared::{api::Api, chat_request, request_id::RequestId};
use serde_json::Value;

use super::{Asked, Completed, Continued, ConversationFailure, ConversationService, expire_old, memory::InMemory};
use crate::ports::{Clock, Ids, OpeningId, Owner, Principal};

const NOW_MS: u64 = 1_800_000_000_000;

/// A clock that the test moves, and ids that count.
pub(super) struct ByHand(AtomicU64, AtomicU64);

impl Clock for ByHand {
    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Ids for ByHand {
    fn request_id(&self) -> RequestId {
        RequestId::new(self.unix_millis(), &[0; 10])
    }

    fn opening_id(&self) -> OpeningId {
        OpeningId([0; 16])
    }

    fn conversation_id(&self) -> String {
        format!("conv_{:024}", self.1.fetch_add(1, Ordering::Relaxed))
    }
}

struct Room {
    store: Arc<InMemory>,
    clock: Arc<ByHand>,
    service: ConversationService,
}

impl Room {
    fn new() -> Self {
        Self::with_anonymous(false)
    }

    fn with_anonymous(anonymous: bool) -> Self {
        let clock = Arc::new(ByHand(NOW_MS.into(), 1.into()));
        let store = Arc::new(InMemory::default());
        let service = ConversationService::new(store.clone(), clock.clone(), clock.clone(), anonymous);
        Self { store, clock, service }
    }

    async fn begin(&self, who: &Principal, body: &str, window: u32) -> Result<Continued, ConversationFailure> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let facts = chat_request::read(&body, 64, Api::ChatCompletions).unwrap();
        let id = facts.conversation_id.unwrap();
        let asked = Asked { body: &body, facts: &facts, context_window: window, answer_tokens: 100 };
        self.service.begin(who, id, asked).await
    }

    /// A request that is answered: what was sent to the provider.
    async fn says(&self, who: &Principal, body: &str, answer: &str, window: u32) -> (Value, u32) {
        let Continued { body, dropped, mut recorder, draft, .. } = self.begin(who, body, window).await.unwrap();
        recorder.whole(answer.as_bytes());
        let at_ms = self.clock.0.fetch_add(1_000, Ordering::Relaxed);
        let completed = Completed { at_ms, model: "openai/gpt-4.1".to_owned(), prompt_tokens: 7, completion_tokens: 3 };
        self.store.keep(draft.complete(recorder, completed).unwrap());
        (serde_json::from_slice(&body).unwrap(), dropped)
    }
}

fn user(name: &str) -> Principal {
    let owner = Owner { tenant: "t".to_owned(), user: name.to_owned() };
    Principal { owner, anonymous: false, ..Principal::anonymous() }
}

/// A whole answer with this message.
fn answer(message: &str) -> String {
    format!(
        r#"{{"id":"a","object":"chat.completion","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#
    )
}

fn text(text: &str) -> String {
    answer(&format!(r#"{{"role":"assistant","content":{text:?}}}"#))
}
