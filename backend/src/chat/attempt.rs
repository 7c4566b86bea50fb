//! A streamed answer on its way: what comes is read, judged and handed on.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{call_span::CallSpan, call_watch::CallWatch, timeouts::Timeouts};
use crate::ports::{AnswerStream, ProviderError, StreamEvent};

/// One chunk for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The data of its event, as the provider sent it.
    pub(crate) data: String,
    /// Whether it holds content.
    pub(crate) content: bool,
}

/// A call of a provider whose answer is streamed. Dropping it ends the call.
pub(crate) struct Attempt {
    span: CallSpan,
    watch: CallWatch,
    events: AnswerStream,
    /// The client wants the usage chunk.
    include_usage: bool,
    timeouts: Timeouts,
    started: Instant,
    /// When the last chunk came, once content has.
    flowing_since: Option<Instant>,
}

impl Attempt {
    pub(super) fn new(
        span: CallSpan,
        watch: CallWatch,
        events: AnswerStream,
        include_usage: bool,
        timeouts: Timeouts,
    ) -> Self {
        Self { span, watch, events, include_usage, timeouts, started: Instant::now(), flowing_since: None }
    }

    /// The next chunk; `None` when the answer is complete. After either end there is nothing more.
    ///
    /// Nothing is lost when the future is dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, ProviderError> {
        let next = self.read().await;
        match &next {
            Ok(Some(_)) => return next,
            Ok(None) => {
                self.watch.complete();
                self.span.complete();
            }
            Err(error) => {
                self.watch.fail(error);
                self.span.fail(error);
            }
        }
        self.events = stream::empty().boxed();
        next
    }

    async fn read(&mut self) -> Result<Option<Piece>, ProviderError> {
        loop {
            let (deadline, what, limit) = self.deadline();
            let event = timeout_at(deadline, self.events.next()).await;
            match event.map_err(|_| ProviderError::TimedOut { what, limit })? {
                Some(Ok(StreamEvent::Opened(status))) => self.span.answered_with(status),
                Some(Ok(StreamEvent::Chunk(data))) => {
                    let kind = self.span.facts().learn(&data);
                    let kind = kind.map_err(|_| ProviderError::Garbage("a chunk is not a JSON object"))?;
                    if kind.content {
                        self.watch.content();
                    }
                    if kind.content || self.flowing_since.is_some() {
                        self.flowing_since = Some(Instant::now());
                    }
                    if !kind.usage_only || self.include_usage {
                        return Ok(Some(Piece { data, content: kind.content }));
                    }
                }
                Some(Ok(StreamEvent::Done)) => return Ok(None),
                Some(Err(error)) => return Err(error),
                // Some servers say nothing at the end; then each choice must have said that it is one.
                None if self.span.facts().is_finished() => return Ok(None),
                None => return Err(ProviderError::Cut),
            }
        }
    }

    /// Until when the next event must come, and what is waited for.
    fn deadline(&self) -> (Instant, &'static str, Duration) {
        let Timeouts { first_content, between_chunks, total } = self.timeouts;
        let next = match self.flowing_since {
            None => (self.started + first_content, "the first content", first_content),
            Some(last) => (last + between_chunks, "the next chunk", between_chunks),
        };
        let end = (self.started + total, "the whole answer", total);
        if next.0 < end.0 { next } else { end }
    }
}
