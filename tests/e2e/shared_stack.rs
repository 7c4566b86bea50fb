//! The product that most tests share, started when the first of them asks for it.

use std::net::SocketAddr;

use goblin_tests::{
    edge::{Edge, EdgeOptions},
    origin::Origin,
    otlp_sink::OtlpSink,
    signing_key,
    stack::{OtlpTarget, Stack, StackOptions},
    upstream::Upstream,
};
use tokio::sync::OnceCell;

/// The error too, so that not every test tries again what takes long to fail.
static SHARED: OnceCell<Result<SharedStack, String>> = OnceCell::const_new();

/// An edge and a backend, the upstream behind them, and the sink for what both tell.
pub(crate) struct SharedStack {
    pub(crate) upstream: Upstream,
    pub(crate) sink: OtlpSink,
    pub(crate) stack: Stack,
    strict: OnceCell<StrictEdge>,
}

/// An edge with narrow bounds before an origin that shows what comes.
pub(crate) struct StrictEdge {
    pub(crate) edge: Edge,
    pub(crate) origin: Origin,
    /// Its signing key, `<id>:<secret>`.
    pub(crate) key: String,
}

impl StrictEdge {
    /// Largest body that it takes.
    pub(crate) const BODY_LIMIT: usize = 20_000;
    /// How long it waits for the origin: long for an origin that answers, short for people.
    const PATIENCE_MS: &str = "1500";

    async fn start(otlp: String) -> anyhow::Result<Self> {
        let (origin, key) = (Origin::start().await?, signing_key::fresh("strict")?);
        let vars = [
            ("BACKEND_ORIGIN", origin.url()),
            ("EDGE_SIGNING_KEY", key.clone()),
            ("BODY_LIMIT_BYTES", Self::BODY_LIMIT.to_string()),
            ("BACKEND_FIRST_BYTE_TIMEOUT_MS", Self::PATIENCE_MS.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let edge = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await?;
        Ok(Self { edge, origin, key })
    }
}

impl SharedStack {
    /// URL of `path` at the edge.
    pub(crate) fn url(&self, path: &str) -> String {
        self.stack.edge.url(path)
    }

    async fn start() -> anyhow::Result<Self> {
        let (upstream, sink) = (Upstream::start().await?, OtlpSink::start().await?);
        let stack = Stack::start(StackOptions {
            upstream: Some(upstream.base_url()),
            backend_otlp: Some(OtlpTarget { endpoint: sink.grpc_endpoint(), protocol: "grpc" }),
            edge_otlp: Some(sink.http_endpoint()),
            ..StackOptions::default()
        })
        .await?;
        Ok(Self { upstream, sink, stack, strict: OnceCell::new() })
    }

    /// Where the edge listens.
    pub(crate) fn edge(&self) -> SocketAddr {
        self.stack.edge.address()
    }

    /// Where the backend's service listener is, for those who skip the edge.
    pub(crate) fn backend(&self) -> SocketAddr {
        self.stack.backend.service()
    }

    /// The strict edge, started when the first test asks for it.
    pub(crate) async fn strict(&self) -> &StrictEdge {
        let start = || StrictEdge::start(self.sink.http_endpoint());
        self.strict.get_or_try_init(start).await.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// The shared product; panics when it does not start.
pub(crate) async fn shared() -> &'static SharedStack {
    let shared =
        SHARED.get_or_init(|| async { SharedStack::start().await.map_err(|error| format!("{error:#}")) }).await;
    shared.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// Ends it, if it was started. Statics are never dropped, so nobody else would.
pub(crate) async fn end() {
    if let Some(Ok(shared)) = SHARED.get() {
        // Nobody waits for its answers any more. The edge is asked to end, so that wrangler tidies up after itself.
        shared.stack.backend.kill().await;
        shared.stack.edge.terminate().await;
        if let Some(strict) = shared.strict.get() {
            strict.edge.terminate().await;
        }
    }
}
