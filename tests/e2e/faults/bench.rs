//! A backend without an edge, behind it one provider for each cell, and one that works.

use anyhow::Result;
use goblin_tests::{
    backend::{Backend, BackendOptions},
    fault_server::{Fault, FaultServer},
    otlp_sink::OtlpSink,
    stack::provider,
    upstream::Upstream,
};
use serde_json::{Map, Value, json};

use super::{asking::Form, speech::Speech};

/// The provider that works, and its model.
pub(super) const SPARE: &str = "spare/spare-model";

/// Settings that make failures short. First content comes at once or never, but a machine that is busy may need a while
/// for the hugest answer.
const SETTINGS: [(&str, &str); 11] = [
    ("GOBLIN_AUTH__MODE", "off"),
    ("GOBLIN_STORE__URL", "none"),
    ("GOBLIN_EDGE__SIGNATURE", "off"),
    ("GOBLIN_TIMEOUTS__CONNECT", "3s"),
    ("GOBLIN_TIMEOUTS__ATTEMPT", "4s"),
    ("GOBLIN_TIMEOUTS__FIRST_CONTENT", "8s"),
    ("GOBLIN_TIMEOUTS__BETWEEN_CHUNKS", "3s"),
    ("GOBLIN_RETRIES__BASE_DELAY", "1ms"),
    ("GOBLIN_RETRIES__RETRY_AFTER_LIMIT", "0s"),
    // Milliseconds: each cell looks at spans several times.
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ("GOBLIN_LOG__LEVEL", "warn,goblin_backend=info"),
];

/// What a plan has after the provider with the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Nobody,
    /// The provider that works.
    Spare,
}

/// A running backend with its providers.
pub(super) struct Bench<'a> {
    pub(super) backend: Backend,
    /// Where its spans go.
    pub(super) sink: &'a OtlpSink,
    pub(super) left: Left,
    _spare: Upstream,
}

impl<'a> Bench<'a> {
    /// Starts a backend with a provider for each of `cells`; `more` of its variables win over ours.
    pub(super) async fn start(
        sink: &'a OtlpSink,
        left: Left,
        cells: &[(Fault, Form, Speech)],
        more: &[(&str, &str)],
    ) -> Result<(Self, Vec<Peer>)> {
        let spare = Upstream::start().await?;
        let mut peers = Vec::new();
        for (fault, form, speech) in cells {
            peers.push(Peer::start(*fault, *form, *speech).await?);
        }
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("catalogue.json");
        tokio::fs::write(&path, catalogue(&peers).to_string()).await?;
        let mut env: Vec<(String, String)> = vec![
            ("GOBLIN_CATALOGUE__PATH".to_owned(), path.display().to_string()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), sink.http_endpoint()),
        ];
        env.extend(SETTINGS.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut serve = |key: &str, base_url: &str, family: &str| {
            env.extend(provider(&key.to_uppercase(), base_url, "sk-of-the-faults"));
            env.push((format!("GOBLIN_PROVIDERS__{}__FAMILY", key.to_uppercase()), family.to_owned()));
        };
        serve("spare", &spare.base_url(), "openai");
        for Peer { key, server, speech, .. } in &peers {
            serve(key, &server.base_url_of(speech.family), speech.family_name());
        }
        let backend = Backend::start(BackendOptions { env, ..BackendOptions::default() }).await?;
        Ok((Self { backend, sink, left, _spare: spare }, peers))
    }

    pub(super) async fn end(&self) {
        self.backend.kill().await;
    }
}

/// Each peer with two models, and an alias by which the provider that works comes after it.
fn catalogue(peers: &[Peer]) -> Value {
    let model = |provider: &str, name: &str| json!({"provider": provider, "name": name, "context_window": 100_000, "max_output_tokens": 1_000});
    let (mut providers, mut aliases) = (Map::new(), Map::new());
    let mut models = vec![model("spare", "spare-model")];
    providers.insert("spare".to_owned(), json!({"title": "Spare"}));
    for Peer { key, .. } in peers {
        providers.insert(key.clone(), json!({"title": key}));
        models.extend([model(key, "first"), model(key, "second")]);
        let targets = json!([{"model": format!("{key}/first")}]);
        aliases.insert(key.clone(), json!({"strategy": "weighted", "targets": targets, "fallbacks": [SPARE]}));
    }
    json!({"version": "faults", "providers": providers, "models": models, "aliases": aliases})
}

/// The provider of one cell: breakers of one cell know nothing of another's.
pub(super) struct Peer {
    pub(super) fault: Fault,
    pub(super) form: Form,
    pub(super) speech: Speech,
    pub(super) server: FaultServer,
    /// Its key in the catalogue.
    pub(super) key: String,
}

impl Peer {
    async fn start(fault: Fault, form: Form, speech: Speech) -> Result<Self> {
        let name = fault.name().to_lowercase().replace([' ', '-'], "_");
        let key = format!("{}_{name}_{}", speech.name(), form.name());
        Ok(Self { fault, form, speech, server: FaultServer::start(fault).await?, key })
    }

    /// What a client asks for to reach it: with nobody left itself, else the alias of both.
    pub(super) fn model(&self, left: Left) -> String {
        match left {
            Left::Nobody => format!("{}/first", self.key),
            Left::Spare => self.key.clone(),
        }
    }

    /// Another model of it, with nobody left.
    pub(super) fn other_model(&self) -> String {
        format!("{}/second", self.key)
    }
}
