//! Carries out a plan.

use std::sync::Arc;

use bytes::Bytes;
use goblin_shared::{
    catalogue::{Catalogue, Model, Target},
    provider_health::ProviderHealth,
    request_id::RequestId,
    route::Plan,
};
use tokio::time::{Instant, timeout};

use super::{attempt::Attempt, call_span::CallSpan, call_watch::SharedState, timeouts::Timeouts};
use crate::ports::{Call, Provider, ProviderError, Providers};

/// Answers chat requests by calling providers.
pub(crate) struct ChatService {
    catalogue: Catalogue,
    providers: Providers,
    timeouts: Timeouts,
    state: SharedState,
}

/// A request that has been checked and planned.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The client's body, as it came.
    pub(crate) body: Bytes,
    /// The client wants the usage of a stream.
    pub(crate) include_usage: bool,
    /// Its id.
    pub(crate) request_id: RequestId,
    /// The trace's id is random; for the provider's `traceparent`.
    pub(crate) random_trace_id: bool,
}

/// A target that can be called here.
#[derive(Clone)]
pub(crate) struct Usable {
    /// What to call.
    pub(crate) target: Target,
    provider: Arc<dyn Provider>,
}

impl ChatService {
    pub(crate) fn new(catalogue: Catalogue, providers: Providers, timeouts: Timeouts) -> Self {
        Self { catalogue, providers, timeouts, state: SharedState::default() }
    }

    /// The catalogue that plans are made from.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether any provider can be called at all.
    pub(crate) fn has_providers(&self) -> bool {
        !self.providers.is_empty()
    }

    /// How calls of the providers went lately. Every provider that is configured is named.
    pub(crate) fn health(&self) -> ProviderHealth {
        self.state.lock().health(self.providers.keys(), Instant::now())
    }

    /// Another number whenever a call has put something down in [`Self::health`], or brought it back.
    pub(crate) fn health_changes(&self) -> u64 {
        self.state.lock().changes()
    }

    /// The catalogue's models that can be called here.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        let provider = |model: &Model| self.providers.get(&model.provider);
        self.catalogue.models().iter().filter(move |model| provider(model).is_some_and(|it| it.offers(&model.name)))
    }

    /// Whether this target can be called here.
    pub(crate) fn offers(&self, target: &Target) -> bool {
        self.models().any(|model| model.provider == target.provider && model.name == target.model)
    }

    /// The entries of a plan that can be called here, in its order. The rest belong to another edition of the
    /// catalogue, or to providers that are not configured.
    pub(crate) fn usable(&self, plan: &Plan) -> Vec<Usable> {
        let usable = |target: &Target| {
            let provider = self.providers.get(&target.provider)?;
            self.offers(target).then(|| Usable { target: target.clone(), provider: provider.clone() })
        };
        plan.entries().iter().filter_map(usable).collect()
    }

    /// Answers in one piece. Dropping the future ends the call.
    pub(crate) async fn complete(&self, entry: &Usable, request: ChatRequest) -> Result<Bytes, ProviderError> {
        let mut span = CallSpan::begin(&entry.target, entry.provider.remote());
        let call = call(&entry.target, request, &span);
        let mut watch = self.state.watch(&entry.target);
        // The whole of it is its first content.
        let limit = self.timeouts.first_content.min(self.timeouts.total);
        let answer = match timeout(limit, entry.provider.complete(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(ProviderError::TimedOut { what: "the whole answer", limit }),
        };
        match answer {
            Ok(answer) => {
                span.answered_with(answer.status);
                // The adapter has seen to it that this is a JSON object.
                let _ = std::str::from_utf8(&answer.body).map(|json| span.facts().learn(json));
                watch.content();
                watch.complete();
                span.complete();
                Ok(answer.body)
            }
            Err(error) => {
                watch.fail(&error);
                span.fail(&error);
                Err(error)
            }
        }
    }

    /// Answers piece by piece.
    pub(crate) fn stream(&self, entry: &Usable, request: ChatRequest) -> Attempt {
        let span = CallSpan::begin(&entry.target, entry.provider.remote());
        let include_usage = request.include_usage;
        let events = entry.provider.stream(call(&entry.target, request, &span));
        Attempt::new(span, self.state.watch(&entry.target), events, include_usage, self.timeouts)
    }
}

fn call(target: &Target, request: ChatRequest, span: &CallSpan) -> Call {
    Call {
        traceparent: span.traceparent(request.random_trace_id),
        body: request.body,
        model: target.model.clone(),
        request_id: request.request_id,
    }
}
