//! A plan being carried out: which entry is called next, when, and what is told when none is left.

use std::time::Duration;

use goblin_shared::catalogue::Target;
use tokio::time::Instant;

use super::{
    attempt::{Attempt, Limit, Patience},
    call_span::CallSpan,
    error_class::{Remedy, remedy},
    provider_state::{Closed, Mode},
    service::{ChatRequest, ChatService, Usable},
    tally::Tally,
};
use crate::ports::{Call, Cause, Inexpressible, Prepared, ProviderError};

/// Most keys of a provider that are tried for one request.
const MOST_KEYS: u32 = 8;

/// Why a plan could not be carried out. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanFailure {
    /// The last provider that was called failed.
    #[error("{target} failed")]
    Provider {
        /// Which.
        target: Target,
        /// How.
        #[source]
        error: ProviderError,
    },
    /// No provider that is left takes more calls at once.
    #[error("the providers of the plan have no place free")]
    Full,
    /// Every provider that is left is not to be called now.
    #[error("the providers of the plan are not to be called for {retry_after} s")]
    Closed {
        /// Seconds until the first of them may be called.
        retry_after: u32,
        /// That one has said so itself; otherwise it failed too often.
        by_its_word: bool,
    },
    /// No provider of the plan has words for the request.
    #[error(transparent)]
    Inexpressible(Inexpressible),
    /// The client did not take the answer in the time that there is for all of it.
    #[error("the client did not read the answer in time")]
    Unread,
    /// The answer is complete, but not in its conversation yet.
    #[error("the answer could not be kept in its conversation in time")]
    NotKept(#[source] Cause),
    /// Who carried it out is gone, which is a fault of this program.
    #[error("the task that carried the plan out is gone")]
    Lost,
}

impl From<Closed> for PlanFailure {
    fn from(Closed { remaining, by_its_word }: Closed) -> Self {
        Self::Closed { retry_after: whole_seconds(remaining), by_its_word }
    }
}

/// A request on its way through its plan.
pub(super) struct Run<'a> {
    service: &'a ChatService,
    request: &'a ChatRequest,
    entries: &'a [Usable],
    mode: Mode,
    /// Hears of every call.
    tally: Tally,
    started: Instant,
    /// Which entry is being tried.
    at: usize,
    /// What each entry is sent, as far as it was asked for.
    prepared: Vec<Option<Result<Prepared, Inexpressible>>>,
    /// Calls of the entry so far, but for those that another key was tried after.
    calls_of_entry: u32,
    /// Keys of it that were tried in vain.
    keys_of_entry: u32,
    /// Calls of all.
    calls: u32,
    /// What came before it was clear what to do next.
    pause: Duration,
    failure: Option<PlanFailure>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        service: &'a ChatService,
        request: &'a ChatRequest,
        entries: &'a [Usable],
        mode: Mode,
        tally: Tally,
    ) -> Self {
        Self {
            service,
            request,
            entries,
            mode,
            tally,
            started: Instant::now(),
            at: 0,
            prepared: entries.iter().map(|_| None).collect(),
            calls_of_entry: 0,
            keys_of_entry: 0,
            calls: 0,
            pause: Duration::ZERO,
            failure: None,
        }
    }

    /// The next call; `None` when there is none to be made, or no time for it.
    pub(super) async fn next(&mut self) -> Option<Attempt> {
        let until = self.started + self.service.settings.timeouts.first_content;
        loop {
            let entry = self.entries.get(self.at)?;
            if !self.pause.is_zero() {
                tokio::time::sleep(std::mem::take(&mut self.pause)).await;
            }
            if Instant::now() >= until {
                return None;
            }
            let prepared = match self.prepare(self.at) {
                Ok(prepared) => prepared,
                Err(inexpressible) => {
                    self.pass(PlanFailure::Inexpressible(inexpressible));
                    continue;
                }
            };
            // Nobody queues for what is not to be called; and what goes down in the meantime is not called either.
            let closed = self.service.state.lock().closed(&entry.target, Instant::now());
            if let Some(closed) = closed {
                self.pass(closed.into());
                continue;
            }
            let Ok(place) = entry.upstream.lane.enter(until).await else {
                self.pass(PlanFailure::Full);
                continue;
            };
            let watch = match self.service.state.watch(&entry.target, self.mode) {
                Ok(watch) => watch,
                Err(closed) => {
                    self.pass(closed.into());
                    continue;
                }
            };
            self.calls += 1;
            self.calls_of_entry += 1;
            let provider = entry.upstream.provider.clone();
            let (metrics, api) = (&self.service.metrics, self.request.client.api);
            let span = CallSpan::begin(metrics, api, &entry.target, provider.remote(), self.calls);
            let traceparent = span.traceparent(self.request.random_trace_id);
            let call = Call { traceparent, onward: self.request.onward.clone(), prepared };
            let patience = self.patience();
            let (target, tally) = (entry.target.clone(), self.tally.clone());
            return Some(Attempt { target, provider, call, span, watch, place, patience, tally });
        }
    }

    /// The call that [`Self::next`] gave failed before the first content.
    pub(super) fn failed(&mut self, error: ProviderError) {
        let called = self.entries.get(self.at).map(|entry| entry.target.clone());
        let retries = &self.service.settings.retries;
        let jitter = retries.pause(self.calls_of_entry, self.service.random.fraction());
        let may_repeat = self.calls_of_entry < retries.attempts;
        let pause = match remedy(&error) {
            Remedy::OtherKey => {
                // It was the key's call, not the provider's.
                self.calls_of_entry = self.calls_of_entry.saturating_sub(1);
                self.keys_of_entry += 1;
                (self.keys_of_entry < MOST_KEYS).then_some(Duration::ZERO)
            }
            Remedy::Again => Some(jitter).filter(|_| may_repeat),
            Remedy::Wait if self.is_another_left() => None,
            Remedy::Wait => match error.retry_after().map(|seconds| Duration::from_secs(seconds.into())) {
                // A little later than it says, so that not everybody is back in the same moment.
                Some(asked) => Some(asked + jitter).filter(|_| may_repeat && asked <= retries.retry_after_limit),
                None => Some(jitter).filter(|_| may_repeat),
            },
            Remedy::Next => None,
        };
        let cause = crate::monitoring::chain(&error);
        let target = called.as_ref().map(ToString::to_string);
        let pause = pause.filter(|pause| Instant::now() + *pause < self.first_content().at);
        // What fails last fails the request, and is told there.
        if pause.is_some() || self.at + 1 < self.entries.len() {
            let again_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            tracing::warn!(target_model = target, attempt = self.calls, cause, again_ms, "a call failed");
        }
        if let Some(target) = called {
            self.note(target, error);
        }
        match pause {
            Some(pause) => self.pause = pause,
            None => self.advance(),
        }
    }

    /// Why no call is left.
    pub(super) fn into_failure(self) -> PlanFailure {
        self.failure.unwrap_or(PlanFailure::Full)
    }

    /// The current entry cannot be called.
    fn pass(&mut self, why: PlanFailure) {
        let entry = self.entries.get(self.at).map(|entry| entry.target.to_string());
        tracing::debug!(target_model = entry, cause = crate::monitoring::chain(&why), "passed over");
        // What a provider said outranks what kept us from asking another.
        let rank = |failure: &PlanFailure| match failure {
            PlanFailure::Provider { .. } | PlanFailure::Unread | PlanFailure::NotKept(_) | PlanFailure::Lost => 3,
            PlanFailure::Full => 2,
            PlanFailure::Closed { .. } => 1,
            PlanFailure::Inexpressible(_) => 0,
        };
        self.failure = Some(match (self.failure.take(), why) {
            (
                Some(PlanFailure::Closed { retry_after, by_its_word }),
                PlanFailure::Closed { retry_after: other, .. },
            ) if retry_after <= other => PlanFailure::Closed { retry_after, by_its_word },
            (Some(PlanFailure::Closed { .. }), why @ PlanFailure::Closed { .. }) => why,
            (Some(before), why) if rank(&before) >= rank(&why) => before,
            (_, why) => why,
        });
        self.advance();
    }

    /// A failure that may be what the client is told: the last one, but for what calls the request itself invalid. That
    /// counts when the first who could be asked says so, and not against an outage of somebody before.
    fn note(&mut self, target: Target, error: ProviderError) {
        let is_rejection = |error: &ProviderError| matches!(error, ProviderError::Rejected { .. });
        let stays = match &self.failure {
            Some(PlanFailure::Provider { target: before, error: known }) => {
                *before != target && (is_rejection(known) || is_rejection(&error))
            }
            _ => false,
        };
        if !stays {
            self.failure = Some(PlanFailure::Provider { target, error });
        }
    }

    fn advance(&mut self) {
        self.at += 1;
        self.calls_of_entry = 0;
        self.keys_of_entry = 0;
    }

    /// What an entry is sent; made once.
    fn prepare(&mut self, at: usize) -> Result<Prepared, Inexpressible> {
        let entry = &self.entries[at];
        let prepare = || entry.upstream.provider.prepare(&self.request.client, &entry.target.model);
        self.prepared[at].get_or_insert_with(prepare).clone()
    }

    /// Whether an entry after the current one may be called, as far as is known.
    fn is_another_left(&mut self) -> bool {
        (self.at + 1..self.entries.len()).any(|at| {
            let entry = &self.entries[at];
            let is_callable = self.service.state.lock().is_callable(&entry.target, Instant::now());
            is_callable && entry.upstream.lane.has_room() && self.prepare(at).is_ok()
        })
    }

    fn first_content(&self) -> Limit {
        let length = self.service.settings.timeouts.first_content;
        Limit { at: self.started + length, length }
    }

    fn patience(&mut self) -> Patience {
        let timeouts = &self.service.settings.timeouts;
        let all = self.first_content();
        let one = Limit { at: Instant::now() + timeouts.attempt, length: timeouts.attempt };
        Patience {
            first_content: if one.at < all.at && self.is_another_left() { one } else { all },
            between_chunks: timeouts.between_chunks,
            end: Limit { at: self.started + timeouts.total, length: timeouts.total },
        }
    }
}

/// At least one, as a client is told it.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}
