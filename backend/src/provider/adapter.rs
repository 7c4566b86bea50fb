//! The one implementation of the port: requests and answers between the client's API and the provider's wire family.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use goblin_shared::api::Api;

use super::{
    answer_pipe::{self, Pipe},
    demo::{self, Demo, DemoEvents},
    endpoint::Operation,
    http::{Http, HttpEvents, Settings, UnusableSettings},
    prepare, upstream_error,
};
use crate::{
    ports::{
        Answer, AnswerStream, Call, ClientRequest, Clock, Inexpressible, Prepared, Provider, ProviderError, Remote,
        StreamEvent,
    },
    wire::{Model, Origin, family::Family, sse},
};

/// How requests are written for one provider.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The catalogue's models that it offers, and what is known of them.
    pub(crate) models: BTreeMap<String, Model>,
    /// The member of OpenAI's format that bounds the answer: `max_completion_tokens`, or `max_tokens` for older servers.
    pub(crate) max_tokens_field: &'static str,
    /// It takes OpenAI's `stream_options`, by which usage is asked for.
    pub(crate) stream_usage: bool,
    /// It takes OpenRouter's `reasoning_details` of earlier turns.
    pub(crate) reasoning_details: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            models: BTreeMap::new(),
            max_tokens_field: "max_completion_tokens",
            stream_usage: true,
            reasoning_details: false,
        }
    }
}

/// A provider of any wire family.
pub(crate) struct Adapter {
    upstream: Upstream,
    family: Family,
    manner: Manner,
    clock: Arc<dyn Clock>,
}

/// What answers.
#[derive(Clone)]
enum Upstream {
    Http(Arc<Http>),
    Demo(Arc<Demo>),
}

impl Adapter {
    /// A provider that is a server.
    pub(crate) fn http(settings: Settings, manner: Manner, clock: Arc<dyn Clock>) -> Result<Self, UnusableSettings> {
        let family = settings.family;
        let upstream = Upstream::Http(Arc::new(Http::new(settings, clock.clone())?));
        Ok(Self { upstream, family, manner, clock })
    }

    /// The demo, which answers inside the process; `token_interval` is its pause before each token.
    pub(crate) fn demo(token_interval: Duration, models: BTreeSet<String>, clock: Arc<dyn Clock>) -> Self {
        let models = models.into_iter().map(|name| (name.clone(), Model::named(name))).collect();
        let upstream = Upstream::Demo(Arc::new(Demo::new(clock.clone(), token_interval)));
        Self { upstream, family: Family::OpenAi, manner: Manner { models, ..Manner::default() }, clock }
    }

    fn origin(&self, prepared: &Prepared) -> Origin {
        Origin {
            request_id: prepared.request_id,
            created: self.clock.unix_seconds(),
            model: prepared.upstream_model.clone(),
        }
    }
}

#[async_trait]
impl Provider for Adapter {
    fn remote(&self) -> Option<&Remote> {
        match &self.upstream {
            Upstream::Http(http) => http.remote(),
            Upstream::Demo(_) => None,
        }
    }

    fn offers(&self, model: &str) -> bool {
        self.manner.models.contains_key(model)
    }

    fn prepare(&self, request: &ClientRequest, model: &str) -> Result<Prepared, Inexpressible> {
        let prepared = match self.manner.models.get(model) {
            Some(model) => prepare::prepare(request, self.family, &self.manner, model),
            None => prepare::prepare(request, self.family, &self.manner, &Model::named(model)),
        }?;
        if let Upstream::Demo(_) = &self.upstream {
            demo::check(&prepared)?;
        }
        Ok(prepared)
    }

    async fn complete(&self, call: Call) -> Result<Answer, ProviderError> {
        let operation = if call.prepared.api == Api::Embeddings { Operation::Embed } else { Operation::Chat };
        let (status, body) = self.upstream.whole(operation, &call).await?;
        if let Some(error) = upstream_error::reported(&body) {
            return Err(error);
        }
        let origin = self.origin(&call.prepared);
        let (body, facts) =
            answer_pipe::whole(self.family, &call.prepared, body, &origin).map_err(answer_pipe::garbage)?;
        Ok(Answer { body, status, facts })
    }

    fn stream(&self, call: Call) -> AnswerStream {
        let mut pipe = Pipe::new(self.family, &call.prepared, self.origin(&call.prepared));
        let upstream = self.upstream.clone();
        let events = async_stream::try_stream! {
            let mut source = upstream.events(&call).await?;
            yield StreamEvent::Opened(source.status());
            source.check()?;
            let mut out = Vec::new();
            while let Some(event) = source.next().await? {
                if event.data.trim().is_empty() {
                    continue;
                }
                if let Some(error) = upstream_error::reported_by_event(event.name.as_deref(), &event.data) {
                    Err(error)?;
                }
                let unended = event.unended;
                pipe.read(event, &mut out).map_err(|error| match error {
                    // Half an event is no fault of its format.
                    ProviderError::Garbage(_) if unended => ProviderError::Cut,
                    error => error,
                })?;
                if out.contains(&StreamEvent::Done) {
                    // Before the end is told: who hears of it may drop the stream.
                    source.release();
                    for event in out {
                        yield event;
                    }
                    return;
                }
                for event in out.drain(..) {
                    yield event;
                }
            }
            if !pipe.finish(&mut out) {
                Err(ProviderError::Cut)?;
            }
            for event in out {
                yield event;
            }
        };
        events.boxed()
    }
}

impl Upstream {
    async fn whole(&self, operation: Operation, call: &Call) -> Result<(Option<u16>, Bytes), ProviderError> {
        match self {
            Self::Http(http) => http.whole(operation, call).await.map(|(status, body)| (Some(status), body)),
            Self::Demo(demo) => demo.whole(operation, call).await.map(|body| (None, body)),
        }
    }

    async fn events(&self, call: &Call) -> Result<Source, ProviderError> {
        Ok(match self {
            Self::Http(http) => Source::Http(Box::new(http.events(Operation::ChatStream, call).await?)),
            Self::Demo(demo) => Source::Demo(demo.events(call)),
        })
    }
}

/// Where the events of one stream come from.
enum Source {
    Http(Box<HttpEvents>),
    Demo(DemoEvents),
}

impl Source {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Http(events) => Some(events.status()),
            Self::Demo(_) => None,
        }
    }

    fn check(&self) -> Result<(), ProviderError> {
        match self {
            Self::Http(events) => events.check(),
            Self::Demo(_) => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Option<sse::Event>, ProviderError> {
        match self {
            Self::Http(events) => events.next().await,
            Self::Demo(events) => Ok(events.next().await),
        }
    }

    fn release(self) {
        if let Self::Http(events) = self {
            events.release();
        }
    }
}

#[cfg(test)]
mod tests;
