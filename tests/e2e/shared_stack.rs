//! The product that most tests share, started when the first of them asks for it.

use std::net::SocketAddr;

use goblin_tests::{
    edge::EdgeOptions,
    otlp_sink::OtlpSink,
    stack::{OtlpTarget, Stack, StackOptions},
    upstream::Upstream,
};

use crate::{
    client::Door,
    started_once::StartedOnce,
    watched_edge::{self, UNLIMITED, WatchedEdge},
};

static SHARED: StartedOnce<SharedStack> = StartedOnce::new();

/// Largest body that the strict edge takes.
pub(crate) const STRICT_BODY_LIMIT: usize = 20_000;

/// How long the strict edge waits for the origin: long for an origin that answers, short for people.
const STRICT_PATIENCE_MS: &str = "1500";

/// An edge and a backend, the upstream behind them, and the sink for what both tell.
pub(crate) struct SharedStack {
    pub(crate) upstream: Upstream,
    pub(crate) sink: OtlpSink,
    pub(crate) stack: Stack,
    strict: StartedOnce<WatchedEdge>,
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
            edge: EdgeOptions {
                vars: UNLIMITED.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
                ..EdgeOptions::default()
            },
            ..StackOptions::default()
        })
        .await?;
        Ok(Self { upstream, sink, stack, strict: StartedOnce::new() })
    }

    /// Where the backend's service listener is, for those who skip the edge.
    pub(crate) fn backend(&self) -> SocketAddr {
        self.stack.backend.service()
    }

    /// The edge with narrow bounds, started when the first test asks for it.
    pub(crate) async fn strict(&self) -> &WatchedEdge {
        let body_limit = STRICT_BODY_LIMIT.to_string();
        let vars = [("BODY_LIMIT_BYTES", body_limit.as_str()), ("BACKEND_FIRST_BYTE_TIMEOUT_MS", STRICT_PATIENCE_MS)];
        self.strict.get(|| WatchedEdge::start(&self.sink, &vars)).await
    }
}

impl From<&SharedStack> for Door {
    fn from(shared: &SharedStack) -> Self {
        Self::from(&shared.stack)
    }
}

/// The shared product; panics when it does not start.
pub(crate) async fn shared() -> &'static SharedStack {
    SHARED.get(SharedStack::start).await
}

/// Ends all that tests share, if it was started. Statics are never dropped, so nobody else would.
pub(crate) async fn end() {
    if let Some(shared) = SHARED.started() {
        // Nobody waits for its answers any more. The edge is asked to end, so that wrangler tidies up after itself.
        shared.stack.backend.kill().await;
        shared.stack.edge.terminate().await;
    }
    watched_edge::end_all().await;
}
