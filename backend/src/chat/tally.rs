//! What the calls of one request have come to so far.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use goblin_shared::{api::Api, catalogue::Target, chat_request::Estimate};
use tokio::time::Instant;

use crate::{
    ports::{Answer, Chunk, Learnt, ProviderError, TokenCounts, Usage},
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
    /// How many calls there were.
    pub(super) attempts: u32,
    /// From the beginning of the request to the first content.
    pub(super) first_content: Option<Duration>,
    /// The last call, and those before it that their providers may ask money for.
    calls: Vec<Called>,
}

/// A call, as far as it decides on what is to be paid.
#[derive(Clone, Debug)]
pub(super) struct Called {
    /// Who was called.
    pub(super) target: Target,
    /// How it says that it processed the request.
    pub(super) service_tier: Option<String>,
    stage: Stage,
    usage: Option<Usage>,
    /// It has said why the answer ends: what it says of tokens then is its last word.
    finished: bool,
    /// What came of its answer.
    text: Estimate,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing that a client can use has come, be it under way or over.
    Silent,
    /// It was not processed: there is nothing to pay.
    Refused,
    /// The answer is complete, and empty.
    Empty,
    /// Content came.
    Content,
}

/// What a call is to be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// These tokens.
    Known(TokenCounts),
    /// At least these, and what else is not known: it was sent, and nobody knows how far its provider got.
    AtLeast(TokenCounts),
}

/// Whether a provider may ask money for a call that failed so: it was sent, and neither was it refused nor did its
/// provider report an error in place of an answer.
fn may_be_billed(error: &ProviderError) -> bool {
    match error {
        ProviderError::Broken(_) | ProviderError::Cut | ProviderError::Garbage(_) | ProviderError::TimedOut { .. } => {
            true
        }
        ProviderError::Rejected { .. }
        | ProviderError::Unauthorized { .. }
        | ProviderError::Overloaded { .. }
        | ProviderError::Status { .. }
        | ProviderError::Reported { .. }
        | ProviderError::Unreachable { .. } => false,
    }
}

impl Tally {
    /// Of a request that begins now.
    pub(super) fn new(api: Api, begun: Instant) -> Self {
        let nothing = Tallied { api, begun, attempts: 0, first_content: None, calls: Vec::new() };
        Self(Some(Arc::new(Mutex::new(nothing))))
    }

    /// What is known now.
    pub(super) fn so_far(&self) -> Option<Tallied> {
        self.lock().map(|tallied| tallied.clone())
    }

    /// A call of `target` begins.
    pub(super) fn call(&self, target: &Target) {
        if let Some(mut tallied) = self.lock() {
            tallied.attempts += 1;
            tallied.calls.retain(|before| before.stage != Stage::Refused);
            tallied.calls.push(Called {
                target: target.clone(),
                service_tier: None,
                stage: Stage::Silent,
                usage: None,
                finished: false,
                text: Estimate::default(),
            });
        }
    }

    /// The call failed.
    pub(super) fn failed(&self, error: &ProviderError) {
        self.change(|_, call| {
            if call.stage == Stage::Silent && !may_be_billed(error) {
                call.stage = Stage::Refused;
            }
        });
    }

    /// Something is known of the answer.
    pub(super) fn learn(&self, news: &Learnt) {
        self.change(|_, call| {
            call.usage = news.usage.or(call.usage);
            call.finished |= news.finish_reason.is_some();
            if call.service_tier.is_none() {
                call.service_tier.clone_from(&news.service_tier);
            }
        });
    }

    /// A piece of the answer is here.
    pub(super) fn chunk(&self, chunk: &Chunk) {
        if chunk.content {
            self.change(|api, call| {
                delivered::count(api, chunk.data.as_bytes(), &mut call.text);
                call.stage = Stage::Content;
            });
        }
    }

    /// The whole answer is here.
    pub(super) fn answer(&self, answer: &Answer) {
        self.change(|api, call| {
            call.usage = answer.facts.usage;
            call.service_tier.clone_from(&answer.facts.service_tier);
            if call.usage.is_none() {
                delivered::count(api, &answer.body, &mut call.text);
            }
            call.stage = Stage::Content;
        });
    }

    /// A streamed answer is complete, be it an empty one.
    pub(super) fn complete(&self) {
        self.change(|_, call| {
            if call.stage != Stage::Content {
                call.stage = Stage::Empty;
            }
            call.finished = true;
        });
    }

    /// Changes the last call.
    fn change(&self, change: impl FnOnce(Api, &mut Called)) {
        let Some(mut tallied) = self.lock() else { return };
        let Tallied { api, begun, first_content, calls, .. } = &mut *tallied;
        if let Some(call) = calls.last_mut() {
            change(*api, call);
            if call.stage == Stage::Content && first_content.is_none() {
                *first_content = Some(begun.elapsed());
            }
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Tallied>> {
        // Nothing panics in there between two changes that belong together.
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tallied {
    /// Who was called last.
    pub(super) fn target(&self) -> Option<&Target> {
        self.calls.last().map(|call| &call.target)
    }

    /// What is to be paid for. `prompt` is the estimate of the prompt.
    pub(super) fn uses(&self, prompt: u64) -> impl Iterator<Item = (&Called, Use)> {
        self.calls.iter().filter(|call| call.stage != Stage::Refused).map(move |call| (call, call.used(prompt)))
    }
}

impl Called {
    /// What the provider says counts. Where it says nothing, or has not come to its last word, the text so far counts when
    /// that is more: what streams tell at their beginning is the prompt alone.
    fn used(&self, prompt: u64) -> Use {
        let text = u64::from(self.text.tokens());
        let is_answered = matches!(self.stage, Stage::Empty | Stage::Content);
        let Some(usage) = self.usage else {
            let counted = TokenCounts { prompt, completion: text, estimated: true, ..TokenCounts::default() };
            return if is_answered { Use::Known(counted) } else { Use::AtLeast(counted) };
        };
        let is_more = !self.finished && self.stage == Stage::Content && text > usage.completion_tokens;
        let counted = TokenCounts {
            prompt: usage.prompt_tokens,
            completion: if is_more { text } else { usage.completion_tokens },
            cached: usage.cached_tokens.unwrap_or_default(),
            cache_write: usage.cache_write_tokens.unwrap_or_default(),
            reasoning: usage.reasoning_tokens.unwrap_or_default(),
            estimated: is_more || !is_answered,
        };
        if is_answered { Use::Known(counted) } else { Use::AtLeast(counted) }
    }
}
