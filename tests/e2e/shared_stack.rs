//! The product that most tests share, started when the first of them asks for it.

use std::net::SocketAddr;

use goblin_tests::{
    backend::BackendOptions,
    edge::EdgeOptions,
    otlp_sink::OtlpSink,
    stack::{OtlpTarget, Stack, StackOptions},
    upstream::{Family, Upstream},
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

/// How long the impatient stack waits for content: long for a provider that answers, short for people.
const SHORT_PATIENCE: &str = "3s";

/// Many tests make a provider fail. None of them may shut it to the others.
const NO_BREAKER: (&str, &str) = ("GOBLIN_BREAKER__ENABLED", "false");

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A stack without limits behind which all providers are one upstream.
fn with_upstreams(upstream: &Upstream) -> StackOptions {
    StackOptions {
        upstream: Some(upstream.base_url()),
        anthropic: Some(upstream.base_url_of(Family::Anthropic)),
        gemini: Some(upstream.base_url_of(Family::Gemini)),
        edge: EdgeOptions { vars: UNLIMITED.map(owned).to_vec(), ..EdgeOptions::default() },
        ..StackOptions::default()
    }
}

/// An edge and a backend, the upstream behind them, and the sink for what both tell.
pub(crate) struct SharedStack {
    pub(crate) upstream: Upstream,
    pub(crate) sink: OtlpSink,
    pub(crate) stack: Stack,
    strict: StartedOnce<WatchedEdge>,
    impatient: StartedOnce<Stack>,
}

impl SharedStack {
    /// URL of `path` at the edge.
    pub(crate) fn url(&self, path: &str) -> String {
        self.stack.edge.url(path)
    }

    async fn start() -> anyhow::Result<Self> {
        let (upstream, sink) = (Upstream::start().await?, OtlpSink::start().await?);
        let stack = Stack::start(StackOptions {
            backend: BackendOptions { env: vec![owned(NO_BREAKER)], ..BackendOptions::default() },
            backend_otlp: Some(OtlpTarget { endpoint: sink.grpc_endpoint(), protocol: "grpc" }),
            edge_otlp: Some(sink.http_endpoint()),
            ..with_upstreams(&upstream)
        })
        .await?;
        Ok(Self { upstream, sink, stack, strict: StartedOnce::new(), impatient: StartedOnce::new() })
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

    /// A stack that waits for no provider, and leaves that to its clients; started when the first test asks for it.
    pub(crate) async fn impatient(&self) -> &Stack {
        self.impatient.get(|| self.start_impatient()).await
    }

    async fn start_impatient(&self) -> anyhow::Result<Stack> {
        let env = [
            NO_BREAKER,
            ("GOBLIN_RETRIES__ATTEMPTS", "1"),
            ("GOBLIN_RETRIES__RETRY_AFTER_LIMIT", "0s"),
            ("GOBLIN_TIMEOUTS__ATTEMPT", SHORT_PATIENCE),
            ("GOBLIN_TIMEOUTS__FIRST_CONTENT", SHORT_PATIENCE),
        ];
        let mut options = with_upstreams(&self.upstream);
        options.backend.env = env.map(owned).to_vec();
        Stack::start(options).await
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
        for stack in [Some(&shared.stack), shared.impatient.started()].into_iter().flatten() {
            stack.backend.kill().await;
            stack.edge.terminate().await;
        }
    }
    watched_edge::end_all().await;
}
