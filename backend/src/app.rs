//! The composition root: the one file that names adapters, and the life of the program from binding to its end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    ambient::RandomIds,
    chat::{ChatService, Timeouts},
    config::{Config, ProviderConfig, ProviderKind, SignatureMode},
    http::{Acceptance, EdgeGate, ReplayStore, Service, operations_router, service_router},
    ports::{Clock, Provider, Providers},
    provider::{demo::Demo, openai},
    shutdown::Shutdown,
};

/// How long connections may take to close after their streams were ended.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

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
        source: openai::UnusableSettings,
    },
    /// A listener's task panicked.
    #[error("a listener ended unexpectedly")]
    Listener(#[source] tokio::task::JoinError),
}

/// Serves until a signal says to end.
pub(crate) async fn run(config: &Config, clock: Arc<dyn Clock>) -> Result<(), AppError> {
    let mut signals = Signals::listen().map_err(AppError::Signals)?;
    let shutdown = Shutdown::default();
    let service = Arc::new(Service {
        chat: ChatService::new(config.catalogue.clone(), providers(config, &clock)?, timeouts(config)),
        shutdown: shutdown.clone(),
        body_limit: config.service.body_limit,
    });

    let service_listener = bind(config.service.listen, "service.listen").await?;
    let operations_listener = bind(config.operations.listen, "operations.listen").await?;
    announce("service", &service_listener);
    announce("operations", &operations_listener);

    let required = config.edge.signature == SignatureMode::Required;
    let router = service_router(service.clone(), acceptance(config, &clock, required));
    let mut serving = serve(service_listener, router, shutdown.drained());
    // Operators see the end of the others, so that theirs comes last.
    let operations_end = Shutdown::default();
    let router = operations_router(service, acceptance(config, &clock, false));
    let operations = serve(operations_listener, router, operations_end.drained());

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

fn serve(listener: TcpListener, router: Router, end: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    // Each chunk of a stream is to leave at once, however small.
    let listener = listener.tap_io(|connection| {
        // A connection that is gone already tells so when it is read.
        let _ = connection.set_nodelay(true);
    });
    tokio::spawn(async move {
        // Never an error, says its documentation.
        let _ = axum::serve(listener, router).with_graceful_shutdown(end).await;
    })
}

fn acceptance(config: &Config, clock: &Arc<dyn Clock>, required: bool) -> Arc<Acceptance> {
    let skew_seconds = config.edge.signature_skew.as_secs();
    let gate = EdgeGate {
        required,
        keys: config.edge.signing_keys.clone(),
        skew_seconds,
        replays: ReplayStore::new(config.edge.replay_capacity, skew_seconds),
        clock: clock.clone(),
    };
    Arc::new(Acceptance { gate, ids: Arc::new(RandomIds::new(clock.clone())) })
}

fn timeouts(config: &Config) -> Timeouts {
    Timeouts {
        first_content: config.timeouts.first_content,
        between_chunks: config.timeouts.between_chunks,
        total: config.timeouts.total,
    }
}

fn providers(config: &Config, clock: &Arc<dyn Clock>) -> Result<Providers, AppError> {
    let make = |provider: &ProviderConfig| {
        let made = self::provider(config, provider, clock);
        let name = provider.name.clone();
        made.map(|made| (name.clone(), made)).map_err(|source| AppError::Provider { name, source })
    };
    config.providers.iter().map(make).collect()
}

fn provider(
    config: &Config,
    provider: &ProviderConfig,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Provider>, openai::UnusableSettings> {
    Ok(match &provider.kind {
        ProviderKind::Demo { token_interval } => {
            Arc::new(Demo::new(clock.clone(), *token_interval, provider.models.keys().cloned().collect()))
        }
        ProviderKind::OpenAi { base_url, api_key } => Arc::new(openai::OpenAi::new(openai::Settings {
            base_url: base_url.clone(),
            api_key: api_key.clone(),
            models: provider.models.clone(),
            connect_timeout: config.timeouts.connect,
        })?),
    })
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
