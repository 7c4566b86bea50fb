//! A backend that is started, killed and started again over one store.

use goblin_tests::{
    api_key::create_api_key,
    backend::{self, Backend, BackendOptions},
    ledger_reader::LedgerReader,
    secret, signing_key,
    stack::start_backend,
};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use super::provider::Provider;

/// What every backend of these tests is told. Its edge is not what they are about.
const SETTINGS: [(&str, &str); 4] = [
    ("GOBLIN_EDGE__SIGNATURE", "off"),
    ("GOBLIN_AUTH__MODE", "required"),
    // A provider that fails on purpose is not to be shut to others.
    ("GOBLIN_BREAKER__ENABLED", "false"),
    ("GOBLIN_RETRIES__ATTEMPTS", "1"),
];

/// The store, the provider, and what backends are told.
pub(crate) struct Bench {
    pub(crate) provider: Provider,
    pub(crate) store_url: String,
    pub(crate) issuer_secret: String,
    signing_key: String,
    env: Vec<(String, String)>,
    /// Where a file of SQLite is.
    _folder: Option<TempDir>,
}

impl Bench {
    /// Over a fresh file.
    pub(crate) async fn over_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("goblin.db").display());
        Self { _folder: Some(folder), ..Self::over(url).await }
    }

    /// Over a store that is there.
    pub(crate) async fn over(store_url: String) -> Self {
        Self {
            provider: Provider::start().await,
            store_url,
            issuer_secret: secret::fresh().unwrap(),
            signing_key: signing_key::fresh("test").unwrap(),
            env: Vec::new(),
            _folder: None,
        }
    }

    /// With one more setting.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// A new API key, by arguments of `goblin-backend keys create`.
    pub(crate) async fn key(&self, arguments: &[&str]) -> String {
        create_api_key(&self.issuer_secret, &self.store_url, arguments)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// What a command prints that uses the store; its failure is the test's.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        let env = [
            ("GOBLIN_AUTH__ISSUER_SECRETS", self.issuer_secret.as_str()),
            ("GOBLIN_STORE__URL", self.store_url.as_str()),
        ];
        let output = backend::run(arguments, &env).await.unwrap_or_else(|error| panic!("{error:#}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {complaint}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Starts a backend.
    pub(crate) async fn start(&self) -> Backend {
        let own = [("GOBLIN_AUTH__ISSUER_SECRETS", &self.issuer_secret), ("GOBLIN_STORE__URL", &self.store_url)];
        let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = settings.into_iter().chain(own).chain(self.env.iter().cloned()).collect();
        let options = BackendOptions { env, ..BackendOptions::default() };
        let started = start_backend(&self.signing_key, Some(&self.provider.base_url()), None, options).await;
        started.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Reads its store.
    pub(crate) async fn reader(&self) -> LedgerReader {
        LedgerReader::open(&self.store_url).await.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// A chat request over the connections of `client`.
pub(crate) fn chat(client: &Client, backend: &Backend, key: &str, body: &Value) -> RequestBuilder {
    client.post(format!("http://{}/v1/chat/completions", backend.service())).bearer_auth(key).json(body)
}
