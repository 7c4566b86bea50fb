//! One call of a provider.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use goblin_shared::catalogue::Target;
use tokio::time::{Instant, timeout_at};

use super::{call_span::CallSpan, call_watch::CallWatch, lane::Place, tally::Tally};
use crate::ports::{AnswerStream, Call, Chunk, Provider, ProviderError, StreamEvent};

/// A call that is about to be made, with all rights to it. Dropping it ends the call.
pub(super) struct Attempt {
    pub(super) target: Target,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) call: Call,
    pub(super) span: CallSpan,
    pub(super) watch: CallWatch,
    pub(super) place: Place,
    pub(super) patience: Patience,
    pub(super) tally: Tally,
}

/// Until when something must be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The first content of a stream, or a whole answer.
    pub(super) first_content: Limit,
    /// From one event to the next, once content has come.
    pub(super) between_chunks: Duration,
    /// The end of a stream.
    pub(super) end: Limit,
}

/// A point in time, and how long it is to it from where it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) at: Instant,
    pub(super) length: Duration,
}

impl Attempt {
    /// Makes the call and waits for the whole answer.
    pub(super) async fn complete(mut self) -> Result<bytes::Bytes, ProviderError> {
        self.watch.begin();
        self.tally.call(&self.target);
        let Limit { at, length } = self.patience.first_content;
        let answer = match timeout_at(at, self.provider.complete(self.call)).await {
            Ok(answer) => answer,
            Err(_) => Err(ProviderError::TimedOut { what: "the whole answer", limit: length }),
        };
        match answer {
            Ok(answer) => {
                self.span.answered_with(answer.status);
                self.tally.answer(&answer);
                *self.span.facts() = answer.facts;
                self.watch.content();
                self.watch.complete();
                self.span.complete();
                Ok(answer.body)
            }
            Err(error) => {
                self.tally.failed(&error);
                self.watch.fail(&error);
                self.span.fail(&error);
                Err(error)
            }
        }
    }

    /// Makes the call, whose answer is to be streamed.
    pub(super) fn stream(mut self) -> StreamedAttempt {
        self.watch.begin();
        self.tally.call(&self.target);
        let events = self.provider.stream(self.call);
        let Self { target, span, watch, place, patience, tally, .. } = self;
        StreamedAttempt { target, span, watch, _place: place, events, patience, tally, flowing: false }
    }
}

/// A call whose answer is streamed. Dropping it ends the call.
pub(super) struct StreamedAttempt {
    pub(super) target: Target,
    span: CallSpan,
    watch: CallWatch,
    _place: Place,
    events: AnswerStream,
    patience: Patience,
    tally: Tally,
    /// Content has come.
    flowing: bool,
}

impl StreamedAttempt {
    /// The next event for the client; `None` when the answer is complete. After either end there is nothing more.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, ProviderError> {
        let next = self.read().await;
        match &next {
            Ok(Some(_)) => return next,
            Ok(None) => {
                self.tally.complete();
                self.watch.complete();
                self.span.complete();
            }
            Err(error) => {
                self.tally.failed(error);
                self.watch.fail(error);
                self.span.fail(error);
            }
        }
        self.events = stream::empty().boxed();
        next
    }

    async fn read(&mut self) -> Result<Option<Chunk>, ProviderError> {
        loop {
            let (limit, what) = self.limit();
            let event = timeout_at(limit.at, self.events.next()).await;
            match event.map_err(|_| ProviderError::TimedOut { what, limit: limit.length })? {
                Some(Ok(StreamEvent::Opened(status))) => self.span.answered_with(status),
                Some(Ok(StreamEvent::Learnt(news))) => {
                    self.tally.learn(&news);
                    self.span.facts().learn(news);
                }
                Some(Ok(StreamEvent::Chunk(chunk))) => {
                    self.tally.chunk(&chunk);
                    if chunk.content && !std::mem::replace(&mut self.flowing, true) {
                        self.watch.content();
                        self.span.first_chunk();
                    }
                    return Ok(Some(chunk));
                }
                Some(Ok(StreamEvent::Done)) => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => return Err(ProviderError::Cut),
            }
        }
    }

    /// Until when the next event must come, and what is waited for.
    fn limit(&self) -> (Limit, &'static str) {
        let Patience { first_content, between_chunks, end } = self.patience;
        let next = if self.flowing {
            // From now on: a slow client is no fault of the provider's.
            (Limit { at: Instant::now() + between_chunks, length: between_chunks }, "the next chunk")
        } else {
            (first_content, "the first content")
        };
        if next.0.at < end.at { next } else { (end, "the whole answer") }
    }
}
