//! What the calls of one request have come to so far.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use goblin_shared::{api::Api, catalogue::Target, chat_request::Estimate};
use tokio::time::Instant;

use crate::{
    ports::{Answer, Chunk, Learnt, TokenCounts, Usage},
    wire::delivered,
};

/// Told by calls as they go; read when the request is settled. Copies are of the same request. One of a request that is
/// not accounted for keeps nothing.
#[derive(Clone, Default)]
pub(super) struct Tally(Option<Arc<Mutex<Tallied>>>);

/// What is known at a moment.
#[derive(Clone, Debug)]
pub(super) struct Tallied {
    api: Api,
    begun: Instant,
    /// Who was called last.
    pub(super) target: Option<Target>,
    /// How many calls there were.
    pub(super) attempts: u32,
    /// From the beginning of the request to the first content.
    pub(super) first_content: Option<Duration>,
    /// How the last one called says that it processed the request.
    pub(super) service_tier: Option<String>,
    /// Something of its answer came that a client can use.
    answered: bool,
    usage: Option<Usage>,
    /// It has said why the answer ends: what it says of tokens then is its last word.
    finished: bool,
    /// What came of its answer.
    text: Estimate,
}

impl Tally {
    /// Of a request that begins now.
    pub(super) fn new(api: Api, begun: Instant) -> Self {
        Self(Some(Arc::new(Mutex::new(Tallied {
            api,
            begun,
            target: None,
            attempts: 0,
            first_content: None,
            service_tier: None,
            answered: false,
            usage: None,
            finished: false,
            text: Estimate::default(),
        }))))
    }

    /// What is known now.
    pub(super) fn so_far(&self) -> Option<Tallied> {
        self.lock().map(|tallied| tallied.clone())
    }

    /// A call of `target` begins. What came of those before it is nobody's: they failed before the first content.
    pub(super) fn call(&self, target: &Target) {
        if let Some(mut tallied) = self.lock() {
            tallied.attempts += 1;
            tallied.target = Some(target.clone());
            tallied.service_tier = None;
            tallied.usage = None;
            tallied.finished = false;
            tallied.text = Estimate::default();
        }
    }

    /// Something is known of the answer.
    pub(super) fn learn(&self, news: &Learnt) {
        if let Some(mut tallied) = self.lock() {
            tallied.usage = news.usage.or(tallied.usage);
            tallied.finished |= news.finish_reason.is_some();
            if tallied.service_tier.is_none() {
                tallied.service_tier.clone_from(&news.service_tier);
            }
        }
    }

    /// A piece of the answer is here.
    pub(super) fn chunk(&self, chunk: &Chunk) {
        if chunk.content
            && let Some(mut tallied) = self.lock()
        {
            let api = tallied.api;
            delivered::count(api, chunk.data.as_bytes(), &mut tallied.text);
            tallied.content();
        }
    }

    /// The whole answer is here.
    pub(super) fn answer(&self, answer: &Answer) {
        if let Some(mut tallied) = self.lock() {
            let api = tallied.api;
            tallied.usage = answer.facts.usage;
            tallied.service_tier.clone_from(&answer.facts.service_tier);
            if tallied.usage.is_none() {
                delivered::count(api, &answer.body, &mut tallied.text);
            }
            tallied.content();
        }
    }

    /// A streamed answer is complete, be it an empty one.
    pub(super) fn complete(&self) {
        if let Some(mut tallied) = self.lock() {
            tallied.answered = true;
            tallied.finished = true;
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Tallied>> {
        // Nothing panics in there between two changes that belong together.
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tallied {
    fn content(&mut self) {
        self.answered = true;
        if self.first_content.is_none() {
            self.first_content = Some(self.begun.elapsed());
        }
    }

    /// The tokens that count; `None` where no provider answered anything. `prompt` is the estimate of the prompt.
    ///
    /// What the provider says counts. Where it says nothing, or has not come to its last word, the text so far counts when
    /// that is more: what streams tell at their beginning is the prompt alone.
    pub(super) fn tokens(&self, prompt: u64) -> Option<TokenCounts> {
        if !self.answered {
            return None;
        }
        let text = u64::from(self.text.tokens());
        let Some(usage) = self.usage else {
            return Some(TokenCounts { prompt, completion: text, estimated: true, ..TokenCounts::default() });
        };
        let estimated = !self.finished && self.first_content.is_some() && text > usage.completion_tokens;
        Some(TokenCounts {
            prompt: usage.prompt_tokens,
            completion: if estimated { text } else { usage.completion_tokens },
            cached: usage.cached_tokens.unwrap_or_default(),
            cache_write: usage.cache_write_tokens.unwrap_or_default(),
            reasoning: usage.reasoning_tokens.unwrap_or_default(),
            estimated,
        })
    }
}
