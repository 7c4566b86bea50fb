//! The product: an edge and the backend behind it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    api_key::{ISSUER_SECRETS_OF_THE_BACKEND, STORE_URL, create_api_key, create_users_api_key},
    backend::{Backend, BackendOptions},
    edge::{Edge, EdgeOptions},
    readiness, secret, signing_key,
};

/// From both having started to the edge reaching the backend.
const READY_BOUND: Duration = Duration::from_mins(1);

/// How long the backend may finish what it does when it is told to end.
const END_BOUND: Duration = Duration::from_secs(40);

/// The API key of OpenAI, as the backend has it.
pub const OPENAI_KEY: &str = "sk-of-the-tests";

/// The API key of Anthropic, as the backend has it.
pub const ANTHROPIC_KEY: &str = "sk-ant-of-the-tests";

/// The API key of Gemini, as the backend has it.
pub const GEMINI_KEY: &str = "gm-of-the-tests";

/// The backend's variables for a provider that the catalogue knows as `name`, in capitals here.
#[must_use]
pub fn provider(name: &str, base_url: &str, api_key: &str) -> [(String, String); 2] {
    [("BASE_URL", base_url), ("API_KEY", api_key)]
        .map(|(field, value)| (format!("GOBLIN_PROVIDERS__{name}__{field}"), value.to_owned()))
}

/// How to start the product. The default is one of its own: free ports, a fresh key, no telemetry, the demo provider.
#[derive(Clone, Default)]
pub struct StackOptions {
    /// The key that both share; default a fresh one. With the user's configuration of the edge, the one in `.dev.vars`.
    pub signing_key: Option<String>,
    /// The secret that makes API keys genuine, or two with a comma between; default a fresh one. With the user's
    /// configuration of the edge, what `.dev.vars` says.
    pub issuer_secret: Option<String>,
    /// Where the backend keeps what it keeps; default a fresh SQLite file, which goes with the stack. With the user's
    /// configuration what that says.
    pub store_url: Option<String>,
    /// How the API key is made: more arguments of `goblin-backend keys create`.
    pub key_arguments: Vec<&'static str>,
    /// Base URL of what stands in for OpenAI, `http://…/v1`.
    pub upstream: Option<String>,
    /// Base URL of what stands in for Anthropic, `http://…` without a path.
    pub anthropic: Option<String>,
    /// Base URL of what stands in for Gemini, `http://…/v1beta`.
    pub gemini: Option<String>,
    /// Where the backend sends telemetry.
    pub backend_otlp: Option<OtlpTarget>,
    /// Where the edge sends telemetry (always OTLP/HTTP).
    pub edge_otlp: Option<String>,
    /// More for the backend; what is said here wins.
    pub backend: BackendOptions,
    /// More for the edge; what is said here wins.
    pub edge: EdgeOptions,
}

/// An OTLP endpoint and how to speak to it.
#[derive(Clone, Debug)]
pub struct OtlpTarget {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`
    pub endpoint: String,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`: `grpc` or `http/protobuf`.
    pub protocol: &'static str,
}

/// A running edge and backend. Dropping it kills both.
pub struct Stack {
    /// The edge.
    pub edge: Arc<Edge>,
    /// The backend.
    pub backend: Arc<Backend>,
    /// The key that both share, `<id>:<secret>`.
    pub signing_key: String,
    /// What makes API keys genuine here, for those who mint more.
    pub issuer_secret: String,
    /// A genuine API key, which the backend knows.
    pub api_key: String,
    /// Where the backend keeps what it keeps, unless that is the user's.
    pub store_url: Option<String>,
    /// A store of its own.
    _store: Option<TempDir>,
}

impl Stack {
    /// Starts both and waits until the edge's `/readyz` says that it reaches the backend.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let signing_key = match options.signing_key {
            Some(key) => key,
            None => signing_key::fresh("test")?,
        };
        let issuer_secret = match options.issuer_secret {
            Some(secret) => secret,
            None => secret::fresh()?,
        };
        let mut backend = options.backend;
        let (api_key, store_url, store) = if backend.users_configuration {
            (create_users_api_key(&issuer_secret, &options.key_arguments).await?, None, None)
        } else {
            let (url, directory) = if let Some(url) = options.store_url {
                (url, None)
            } else {
                let directory = tempfile::tempdir()?;
                (format!("sqlite:{}", directory.path().join("goblin.db").display()), Some(directory))
            };
            backend.env.insert(0, (STORE_URL.to_owned(), url.clone()));
            (create_api_key(&issuer_secret, &url, &options.key_arguments).await?, Some(url), directory)
        };
        let others = [("ANTHROPIC", options.anthropic, ANTHROPIC_KEY), ("GEMINI", options.gemini, GEMINI_KEY)];
        for (name, base_url, key) in others {
            let provider = base_url.map(|base_url| provider(name, &base_url, key));
            // The later of two wins.
            backend.env.splice(0..0, provider.into_iter().flatten());
        }
        backend.env.insert(0, (ISSUER_SECRETS_OF_THE_BACKEND.to_owned(), issuer_secret.clone()));
        let backend =
            start_backend(&signing_key, options.upstream.as_deref(), options.backend_otlp.as_ref(), backend).await?;
        let mut edge = options.edge;
        let mut vars = vec![("BACKEND_ORIGIN".to_owned(), format!("http://{}", backend.service()))];
        if !edge.users_configuration {
            // Otherwise it stands in `.dev.vars`, and not on a command line that every user of the machine can read.
            vars.push(("EDGE_SIGNING_KEY".to_owned(), signing_key.clone()));
            vars.push(("API_KEY_ISSUER_SECRETS".to_owned(), issuer_secret.clone()));
            // Milliseconds; the default of five seconds would be the time of every test that looks at counts.
            vars.push(("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "200".to_owned()));
        }
        if let Some(endpoint) = options.edge_otlp {
            vars.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint));
        }
        vars.retain(|(name, _)| !edge.vars.iter().any(|(given, _)| given == name));
        edge.vars.extend(vars);
        let edge = Edge::start(edge).await?;
        let ready = readiness::wait_until_ready(edge.address(), "/readyz", READY_BOUND).await;
        ready.with_context(|| {
            let (edge, backend) = (edge.process().log().tail(20), backend.process().log().tail(20));
            format!("the edge does not reach the backend.\nThe edge's log ends:\n{edge}The backend's:\n{backend}")
        })?;
        let (edge, backend) = (Arc::new(edge), Arc::new(backend));
        Ok(Self { edge, backend, signing_key, issuer_secret, api_key, store_url, _store: store })
    }

    /// One more API key, by more `arguments` of `goblin-backend keys create`.
    pub async fn create_api_key(&self, arguments: &[&str]) -> Result<String> {
        match &self.store_url {
            Some(url) => create_api_key(&self.issuer_secret, url, arguments).await,
            None => create_users_api_key(&self.issuer_secret, arguments).await,
        }
    }

    /// Ends both: first the backend, which may finish its answers through the edge.
    pub async fn terminate(&self) {
        self.backend.terminate(END_BOUND).await;
        self.edge.terminate().await;
    }

    /// Kills both at once.
    pub async fn kill(&self) {
        tokio::join!(self.backend.kill(), self.edge.process().kill());
    }
}

/// Starts a backend that believes an edge with `signing_key`.
pub async fn start_backend(
    signing_key: &str,
    upstream: Option<&str>,
    otlp: Option<&OtlpTarget>,
    mut options: BackendOptions,
) -> Result<Backend> {
    let mut env =
        vec![("GOBLIN_EDGE__SIGNING_KEYS", signing_key.to_owned()), ("GOBLIN_EDGE__SIGNATURE", "required".to_owned())];
    if !options.users_configuration {
        // Tests want the demo's answers, not its pace.
        env.push(("GOBLIN_PROVIDERS__DEMO__TOKEN_INTERVAL", "1ms".to_owned()));
        // Most tests are about something else, and many ask as anybody.
        env.push(("GOBLIN_AUTH__MODE", "optional".to_owned()));
    }
    if let Some(otlp) = otlp {
        env.push(("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.endpoint.clone()));
        env.push(("OTEL_EXPORTER_OTLP_PROTOCOL", otlp.protocol.to_owned()));
        // Milliseconds; the default of five seconds would be the time of every test that looks at spans.
        env.push(("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()));
    }
    let mut all: Vec<_> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(upstream) = upstream {
        all.extend(provider("OPENAI", upstream, OPENAI_KEY));
    }
    // The later of two wins.
    all.append(&mut options.env);
    options.env = all;
    Backend::start(options).await
}
