//! An edge before an origin that shows what comes through.

use std::sync::{Arc, Mutex, PoisonError};

use goblin_tests::{
    api_key::mint_api_key,
    edge::{Edge, EdgeOptions},
    origin::Origin,
    otlp_sink::OtlpSink,
    secret, signing_key,
};
use tempfile::TempDir;

use crate::{client::Door, heads::ADDRESS_HEADER};

/// Settings of edges that tests share: nobody runs into limits, or waits in vain for a busy machine, and each test can
/// come from addresses of its own.
pub(crate) const UNLIMITED: [(&str, &str); 5] = [
    ("KEY_LIMIT_BURST", "100000"),
    ("KEY_LIMIT_SUSTAINED", "100000/1"),
    ("KEY_LIMIT_TIMEOUT_MS", "10000"),
    ("ADMIT_RULES", "address_limit=observe"),
    ("DEV_ADDRESS_HEADER", ADDRESS_HEADER),
];

/// All that were started. Statics are never dropped, so somebody must end them.
static STARTED: Mutex<Vec<Arc<Edge>>> = Mutex::new(Vec::new());

/// A running edge and its origin.
pub(crate) struct WatchedEdge {
    pub(crate) edge: Arc<Edge>,
    pub(crate) origin: Origin,
    /// Its signing key, `<id>:<secret>`.
    pub(crate) signing_key: String,
    /// The two secrets that make API keys genuine here, the one that mints first.
    pub(crate) issuer_secrets: [String; 2],
    /// A genuine API key.
    pub(crate) api_key: String,
    /// Its `service.name`, which no other edge has.
    pub(crate) service: String,
    options: EdgeOptions,
    /// Its state, which outlives the process.
    pub(crate) state: TempDir,
}

impl WatchedEdge {
    /// Starts one that tells `sink`, with [`UNLIMITED`] and `vars`, of which the latter win.
    pub(crate) async fn start(sink: &OtlpSink, vars: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_with(sink, vars, EdgeOptions::default()).await
    }

    /// The same with `options`, whose variables and state are ours.
    pub(crate) async fn start_with(
        sink: &OtlpSink,
        vars: &[(&str, &str)],
        options: EdgeOptions,
    ) -> anyhow::Result<Self> {
        let (origin, signing_key, state) =
            (Origin::start().await?, signing_key::fresh("watched")?, tempfile::tempdir()?);
        let issuer_secrets = [secret::fresh()?, secret::fresh()?];
        let api_key = mint_api_key(&issuer_secrets[0]).await?;
        let service = format!("watched-{}", uuid::Uuid::new_v4());
        let (origin_url, collector, issuers) = (origin.url(), sink.http_endpoint(), issuer_secrets.join(","));
        let own = [
            ("BACKEND_ORIGIN", origin_url.as_str()),
            ("EDGE_SIGNING_KEY", &signing_key),
            ("API_KEY_ISSUER_SECRETS", &issuers),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
            ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
            ("OTEL_SERVICE_NAME", &service),
        ];
        let is_replaced = |name: &str| vars.iter().any(|(given, _)| *given == name);
        let kept = own.into_iter().chain(UNLIMITED).filter(|(name, _)| !is_replaced(name));
        let vars = kept.chain(vars.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let options = EdgeOptions { vars, persist_to: Some(state.path().to_owned()), ..options };
        let edge = start(&options).await?;
        Ok(Self { edge, origin, signing_key, issuer_secrets, api_key, service, options, state })
    }

    /// Ends the edge and starts another with the same settings on the state that it left.
    pub(crate) async fn restarted(self) -> anyhow::Result<Self> {
        self.edge.terminate().await;
        let edge = start(&self.options).await?;
        Ok(Self { edge, ..self })
    }

    /// The door of its edge for the holder of another genuine key.
    pub(crate) async fn door_of_another(&self) -> Door {
        let key = mint_api_key(&self.issuer_secrets[0]).await.unwrap_or_else(|error| panic!("{error:#}"));
        Door::with_key(&self.edge, &key)
    }

    /// The door of its edge for who has no key.
    pub(crate) fn without_key(&self) -> Door {
        self.edge.address().into()
    }

    /// Whether a request for this path and query came to the origin.
    pub(crate) fn let_through(&self, path_and_query: &str) -> bool {
        self.origin.requests().iter().any(|request| request.uri == path_and_query)
    }
}

impl From<&WatchedEdge> for Door {
    fn from(watched: &WatchedEdge) -> Self {
        Self::with_key(&watched.edge, &watched.api_key)
    }
}

async fn start(options: &EdgeOptions) -> anyhow::Result<Arc<Edge>> {
    let edge = Arc::new(Edge::start(options.clone()).await?);
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&edge));
    Ok(edge)
}

/// Ends all. They are asked to end, so that wrangler tidies up after itself.
pub(crate) async fn end_all() {
    let edges = std::mem::take(&mut *STARTED.lock().unwrap_or_else(PoisonError::into_inner));
    futures_util::future::join_all(edges.iter().map(|edge| edge.terminate())).await;
}
