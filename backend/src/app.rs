//! The composition root: the one file that names adapters, and the life of the program from binding to its end.

mod accounts;
mod command;
mod identity;
mod keepers;
mod kept;
mod objectives;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use goblin_shared::catalogue::{Capabilities, Catalogue, Target};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use self::{
    accounts::accounts,
    identity::{admin, identity},
    keepers::Keepers,
};
pub(crate) use self::{command::command, objectives::slos};
use crate::{
    ambient::{RandomIds, SystemRandom},
    chat::{
        BreakerSettings, ChatService, ChatSettings, LaneSettings, Retries, Timeouts, Upstream,
        conversation::ConversationService,
    },
    config::{AuthField, AuthMode, Config, KeyConfig, ProviderConfig, ProviderKind, SignatureMode},
    http::{Acceptance, EdgeGate, Places, ReplayStore, Service, operations_router, serve, service_router},
    identity::UnusableJwt,
    monitoring::{Watch, metrics::Metrics},
    ports::{Clock, Provider},
    provider::{
        adapter::{Adapter, Manner},
        http::{Auth, Settings, UnusableSettings},
        keys::Key,
    },
    shutdown::Shutdown,
    store::{OpenFailed, Stores},
    wire::Model,
};

/// How long connections may take to close after their streams were ended.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long the store may take for what was settled last.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);

/// Why the program cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}; free it, or set {setting} to another (port 0: any free one)")]
    Bind {
        /// What was configured.
        address: SocketAddr,
        /// Where.
        setting: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The system does not let us hear of its wish that we end.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// A provider cannot be called as configured.
    #[error("the provider {name} cannot be set up")]
    Provider {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: UnusableSettings,
    },
    /// What is kept cannot be reached.
    #[error(transparent)]
    Store(#[from] OpenFailed),
    /// The URL of Redis, of which nothing is repeated.
    #[error("the URL of Redis cannot be read (store.redis); it is redis://user:password@host:port")]
    Redis,
    /// Tokens cannot be checked as configured.
    #[error("the issuer of tokens cannot be asked (auth.jwt)")]
    Jwt(#[source] UnusableJwt),
    /// A listener's task panicked.
    #[error("a listener ended unexpectedly")]
    Listener(#[source] tokio::task::JoinError),
}

/// Serves until a signal says to end.
pub(crate) async fn run(config: &Config, clock: Arc<dyn Clock>, watch: Watch) -> Result<(), AppError> {
    let metrics = &watch.metrics;
    let mut signals = Signals::listen().map_err(AppError::Signals)?;
    let kept = kept::serve(&config.store, metrics).await?;
    let shutdown = Shutdown::default();
    let accounts = accounts(config, &clock, kept.as_ref(), metrics)?;
    let service = Arc::new(Service {
        chat: Arc::new(ChatService::new(
            config.catalogue.clone(),
            upstreams(config, &clock)?,
            settings(config),
            Arc::new(SystemRandom),
            metrics.clone(),
        )),
        identity: Arc::new(identity(config, kept.as_ref().map(|kept| kept.keys.clone()), &clock, metrics.clone())?),
        admin: kept.as_ref().map(|kept| admin(config, kept, &clock)),
        accounts: accounts.clone(),
        conversations: kept.as_ref().map(|kept| conversations(config, kept, &clock)),
        store: kept.as_ref().map(|kept| kept.health.clone()),
        watch: watch.clone(),
        places: Places::new(config.service.max_requests),
        shutdown: shutdown.clone(),
        body_limit: config.service.body_limit,
    });

    metrics.observe_runtime(&tokio::runtime::Handle::current());
    let chat = Arc::downgrade(&service.chat);
    metrics.observe_breakers(move || chat.upgrade().map_or_else(Vec::new, |chat| chat.breakers()));
    let keepers = Keepers::start(config, kept.as_ref(), &watch, &clock, &shutdown).await;

    let service_listener = bind(config.service.listen, "service.listen").await?;
    let operations_listener = bind(config.operations.listen, "operations.listen").await?;
    announce("service", &service_listener);
    announce("operations", &operations_listener);
    let providers: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    tracing::info!(providers = providers.join(", "), catalogue = config.catalogue.version(), "ready to call providers");
    if config.auth.mode == AuthMode::Off {
        tracing::warn!("auth.mode is off: nobody is asked who he is");
    }
    if config.edge.signature != SignatureMode::Required {
        tracing::warn!("edge.signature is off: whoever reaches the service listener is served");
    }

    let required = config.edge.signature == SignatureMode::Required;
    let router = service_router(service.clone(), acceptance(config, &clock, metrics, required));
    let mut serving = tokio::spawn(serve(service_listener, router, shutdown.clone()));
    // Operators see the end of the others, so that theirs comes last.
    let operations_end = Shutdown::default();
    let router = operations_router(service, acceptance(config, &clock, metrics, false));
    let operations = tokio::spawn(serve(operations_listener, router, operations_end.clone()));

    tokio::select! {
        () = signals.next() => {}
        ended = &mut serving => return ended.map_err(AppError::Listener),
    }
    let grace = config.service.shutdown_grace;
    tracing::info!(grace_seconds = grace.as_secs_f64(), "shutting down: open requests may end");
    shutdown.drain();
    let drained = tokio::select! {
        ended = &mut serving => Some(ended),
        () = tokio::time::sleep(grace) => None,
        () = signals.next() => None,
    };
    if let Some(ended) = drained {
        ended.map_err(AppError::Listener)?;
    } else {
        tracing::warn!("shutting down: what is still open is ended now");
        shutdown.cut();
        if timeout(CLOSE_WITHIN, &mut serving).await.is_err() {
            tracing::warn!("shutting down: some connections do not close, and are left");
            serving.abort();
        }
    }
    operations_end.drain();
    // A probe that hangs must not hold up the end.
    let _ = timeout(CLOSE_WITHIN, operations).await;
    let unsettled = accounts.flush(FLUSH_WITHIN).await;
    if unsettled > 0 {
        tracing::error!(unsettled, "the counters of limits do not take what was used; they stay too high");
    }
    keepers.end(FLUSH_WITHIN).await;
    if let Some(kept) = kept {
        let unwritten = kept.ledger.flush(FLUSH_WITHIN).await;
        if unwritten > 0 {
            tracing::error!(unwritten, "the store does not take what was settled; it will be interrupted");
        }
    }
    tracing::info!("shut down");
    Ok(())
}

async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|source| AppError::Bind { address, setting, source })
}

fn announce(listener: &str, bound: &TcpListener) {
    // Known for every socket that is bound.
    let address = bound.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(listener, address, "listening");
}

fn conversations(config: &Config, kept: &Stores, clock: &Arc<dyn Clock>) -> Arc<ConversationService> {
    let is_everybody_one = config.auth.mode == AuthMode::Off;
    let ids = Arc::new(RandomIds::new(clock.clone()));
    Arc::new(ConversationService::new(kept.conversations.clone(), clock.clone(), ids, is_everybody_one))
}

fn acceptance(config: &Config, clock: &Arc<dyn Clock>, metrics: &Metrics, required: bool) -> Arc<Acceptance> {
    let skew_seconds = config.edge.signature_skew.as_secs();
    let gate = EdgeGate {
        required,
        keys: config.edge.signing_keys.clone(),
        skew_seconds,
        replays: ReplayStore::new(config.edge.replay_capacity, skew_seconds),
        clock: clock.clone(),
    };
    Arc::new(Acceptance {
        gate,
        ids: Arc::new(RandomIds::new(clock.clone())),
        metrics: metrics.clone(),
        formats: config.telemetry.formats.clone(),
    })
}

fn settings(config: &Config) -> ChatSettings {
    let (timeouts, retries, breaker) = (&config.timeouts, &config.retries, &config.breaker);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let breakers = BreakerSettings {
        window: breaker.window,
        min_calls: count(breaker.min_calls),
        error_ratio: breaker.error_ratio,
        open_for: breaker.open_for,
        open_for_limit: breaker.open_for_limit,
        probes: count(breaker.probes),
    };
    ChatSettings {
        timeouts: Timeouts {
            first_content: timeouts.first_content,
            attempt: timeouts.attempt,
            between_chunks: timeouts.between_chunks,
            total: timeouts.total,
        },
        retries: Retries {
            attempts: retries.attempts,
            base_delay: retries.base_delay,
            max_delay: retries.max_delay,
            retry_after_limit: retries.retry_after_limit,
        },
        breakers: breaker.enabled.then_some(breakers),
    }
}

/// Accounts that are written down in `ledger`, or nowhere; and none at all where there is nothing to count either.
fn upstreams(config: &Config, clock: &Arc<dyn Clock>) -> Result<BTreeMap<String, Upstream>, AppError> {
    let make = |provider: &ProviderConfig| {
        let name = provider.name.clone();
        let made = self::provider(config, provider, clock)
            .map_err(|source| AppError::Provider { name: name.clone(), source })?;
        let lane = LaneSettings {
            max_concurrency: provider.max_concurrency,
            max_queue: provider.max_queue,
            queue_timeout: provider.queue_timeout,
        };
        Ok((name, Upstream::new(made, lane)))
    };
    config.providers.iter().map(make).collect()
}

fn provider(
    config: &Config,
    provider: &ProviderConfig,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Provider>, UnusableSettings> {
    let server = match &provider.kind {
        ProviderKind::Demo { token_interval } => {
            let models = provider.models.keys().cloned().collect();
            return Ok(Arc::new(Adapter::demo(*token_interval, models, clock.clone())));
        }
        ProviderKind::Http(server) => server,
    };
    let key = |key: &KeyConfig| Key { secret: key.secret.clone(), weight: key.weight };
    let settings = Settings {
        family: server.family,
        base_url: server.base_url.clone(),
        query: server.query.clone(),
        keys: server.keys.iter().map(key).collect(),
        auth: match &server.auth {
            AuthField::Bearer => Auth::Bearer,
            AuthField::Field(name) => Auth::Field(name.clone()),
        },
        headers: server.headers.clone(),
        connect_timeout: config.timeouts.connect,
        formats: config.telemetry.formats.clone(),
        is_own: server.is_own,
    };
    let manner = Manner {
        models: models(&config.catalogue, provider),
        max_tokens_field: server.max_tokens_field,
        stream_usage: server.stream_usage,
        reasoning_details: server.reasoning_details,
    };
    Ok(Arc::new(Adapter::http(settings, manner, clock.clone())?))
}

/// The models that a provider offers, with what the catalogue knows of them.
fn models(catalogue: &Catalogue, provider: &ProviderConfig) -> BTreeMap<String, Model> {
    let model = |(name, upstream): (&String, &String)| {
        let target = Target { provider: provider.name.clone(), model: name.clone() };
        let mut model = Model::named(upstream);
        // All are listed, which the configuration's reader has seen to.
        if let Some(listed) = catalogue.model(&target) {
            // 0 is that of embedding models.
            model.max_output_tokens = Some(listed.max_output_tokens.into()).filter(|tokens| *tokens > 0);
            model.reasons = listed.capabilities.contains(Capabilities::REASONING);
        }
        (name.clone(), model)
    };
    provider.models.iter().map(model).collect()
}

/// The system's wish that the program end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Inputs;

    #[test]
    fn models_are_known_by_the_catalogue() {
        let inputs = Inputs {
            file: Some(("goblin.toml".into(), "[edge]\nsignature = 'off'\n[auth]\nmode = 'off'\n".to_owned())),
            environment: Vec::new(),
            set: vec!["providers.openai.models=gpt-4.1=mine,text-embedding-3-small,gpt-6-luna".to_owned()],
        };
        let config = Config::load(&inputs).unwrap();
        let models = models(&config.catalogue, &config.providers[0]);
        let listed = |name: &str| config.catalogue.models().iter().find(|model| model.name == name).unwrap();
        for (name, upstream, reasons) in [("gpt-4.1", "mine", false), ("gpt-6-luna", "gpt-6-luna", true)] {
            let max_output_tokens = Some(listed(name).max_output_tokens.into());
            let expected = Model { name: upstream.to_owned(), max_output_tokens, reasons };
            assert_eq!(models[name], expected);
        }
        assert_eq!(models["text-embedding-3-small"].max_output_tokens, None);
    }
}
