//! What the gateway can call, and the way to it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use goblin_shared::{
    catalogue::{Catalogue, Model, Target},
    provider_health::ProviderHealth,
    route::Plan,
};
use tokio::time::Instant;

use super::{
    account::Account,
    breaker::BreakerSettings,
    call_watch::SharedState,
    lane::{Lane, LaneSettings},
    provider_state::{Mode, ProviderState},
    run::{PlanFailure, Run},
    timeouts::{Retries, Timeouts},
};
use crate::{
    monitoring::metrics::{BreakerLevel, Metrics},
    ports::{ClientRequest, Onward, Provider, Random},
};

/// How providers are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatSettings {
    /// Patience.
    pub(crate) timeouts: Timeouts,
    /// Another try.
    pub(crate) retries: Retries,
    /// When a provider is left alone; `None`: never.
    pub(crate) breakers: Option<BreakerSettings>,
}

/// A provider and how many may call it.
pub(crate) struct Upstream {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) lane: Lane,
}

impl Upstream {
    pub(crate) fn new(provider: Arc<dyn Provider>, lane: LaneSettings) -> Self {
        Self { provider, lane: Lane::new(lane) }
    }
}

/// Answers requests by calling providers.
pub(crate) struct ChatService {
    catalogue: Catalogue,
    upstreams: BTreeMap<String, Arc<Upstream>>,
    pub(super) settings: ChatSettings,
    pub(super) state: SharedState,
    pub(super) random: Arc<dyn Random>,
    pub(super) metrics: Metrics,
}

/// A request that has been checked and planned.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// What the client wants.
    pub(crate) client: ClientRequest,
    /// The trace's id is random; for the provider's `traceparent`.
    pub(crate) random_trace_id: bool,
    /// What the caller hands along with the trace.
    pub(crate) onward: Option<Arc<Onward>>,
}

/// A target that can be called here.
#[derive(Clone)]
pub(crate) struct Usable {
    /// What to call.
    pub(crate) target: Target,
    pub(super) upstream: Arc<Upstream>,
}

/// A whole answer, and whose.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Who answered.
    pub(crate) target: Target,
    /// A JSON object in the client's shape.
    pub(crate) body: Bytes,
}

impl ChatService {
    /// `upstreams` by their key in the catalogue.
    pub(crate) fn new(
        catalogue: Catalogue,
        upstreams: BTreeMap<String, Upstream>,
        settings: ChatSettings,
        random: Arc<dyn Random>,
        metrics: Metrics,
    ) -> Self {
        let upstreams = upstreams.into_iter().map(|(key, upstream)| (key, Arc::new(upstream))).collect();
        let state = SharedState::new(ProviderState::new(settings.breakers));
        Self { catalogue, upstreams, settings, state, random, metrics }
    }

    /// The catalogue that plans are made from.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Whether any provider can be called at all.
    pub(crate) fn has_providers(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// How calls of the providers went lately. Every provider that is configured is named.
    pub(crate) fn health(&self) -> ProviderHealth {
        self.state.lock().health(self.upstreams.keys(), Instant::now())
    }

    /// Another number whenever a call has put something down in [`Self::health`], or brought it back.
    pub(crate) fn health_changes(&self) -> u64 {
        self.state.lock().changes()
    }

    /// How far each provider that is configured is called at the moment.
    pub(crate) fn breakers(&self) -> Vec<(String, BreakerLevel)> {
        let (state, now) = (self.state.lock(), Instant::now());
        self.upstreams.keys().map(|key| (key.clone(), state.level(key, now))).collect()
    }

    /// The catalogue's models that can be called here.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        let offers = |model: &Model| {
            self.upstreams.get(&model.provider).is_some_and(|upstream| upstream.provider.offers(&model.name))
        };
        self.catalogue.models().iter().filter(move |model| offers(model))
    }

    /// Whether this target can be called here.
    pub(crate) fn offers(&self, target: &Target) -> bool {
        self.models().any(|model| model.provider == target.provider && model.name == target.model)
    }

    /// The entries of a plan that can be called here, in its order. The rest belong to another edition of the
    /// catalogue, or to providers that are not configured.
    pub(crate) fn usable(&self, plan: &Plan) -> Vec<Usable> {
        let usable = |target: &Target| {
            let upstream = self.upstreams.get(&target.provider)?;
            self.offers(target).then(|| Usable { target: target.clone(), upstream: upstream.clone() })
        };
        plan.entries().iter().filter_map(usable).collect()
    }

    /// Answers in one piece. Dropping the future ends the call. The account is settled before the answer is given.
    pub(crate) async fn complete(
        &self,
        entries: &[Usable],
        request: &ChatRequest,
        mut account: Account,
    ) -> Result<Answered, PlanFailure> {
        let mut run = Run::new(self, request, entries, Mode::Whole, account.tally());
        while let Some(attempt) = run.next().await {
            let target = attempt.target.clone();
            match attempt.complete().await {
                Ok(body) => {
                    if let Some(recorder) = account.recorder() {
                        recorder.whole(&body);
                    }
                    account.completed_and_kept().await?;
                    return Ok(Answered { target, body });
                }
                Err(error) => run.failed(error),
            }
        }
        let failure = run.into_failure();
        drop(account.failed(failure.code()));
        Err(failure)
    }
}
