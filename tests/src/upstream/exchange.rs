//! A test's part of the upstream: what it set up, and what came for it.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{ID_LENGTH, SCENARIO_FIELD, SCENARIO_MARKER, Script};
use crate::{
    http_peer::{ReceivedRequest, SharedRecord},
    patience::patiently,
};

/// A script, and what came for it.
pub(super) struct Playing {
    pub(super) script: Script,
    exchanges: SharedRecord<Exchange>,
}

impl Playing {
    /// Takes a request down. The guard tells when its exchange ends.
    pub(super) fn begin(&self, request: ReceivedRequest) -> ExchangeGuard {
        let (closed, closing) = watch::channel(None);
        self.exchanges.push(Exchange { request, closed: closing });
        ExchangeGuard { closed, played_to_its_end: false }
    }
}

#[derive(Clone)]
struct Exchange {
    request: ReceivedRequest,
    closed: watch::Receiver<Option<Closed>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// When.
    pub at: Instant,
    /// Whether the script was played to its end; otherwise the client left before.
    pub played_to_its_end: bool,
}

/// One test's part of the upstream.
pub struct Scenario {
    id: String,
    playing: Arc<Playing>,
}

impl Scenario {
    pub(super) fn new(script: Script) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        debug_assert_eq!(id.len(), ID_LENGTH);
        Self { id, playing: Arc::new(Playing { script, exchanges: SharedRecord::default() }) }
    }

    pub(super) fn playing(&self) -> Arc<Playing> {
        self.playing.clone()
    }

    /// Value of `goblin_test` in the requests that belong to it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What makes a request belong to it by standing anywhere in its texts: `goblin-test:<id>`.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("{SCENARIO_MARKER}{}", self.id)
    }

    /// A chat request for this scenario, `{"model", "messages", "goblin_test"}`, with `more` fields over it.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it is always written in place")]
    pub fn chat(&self, model: &str, more: Value) -> Value {
        let messages = json!([{"role": "user", "content": "Hello"}]);
        let mut body = json!({"model": model, "messages": messages, SCENARIO_FIELD: self.id});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    }

    /// A chat request that any family understands, `{"model", "messages"}`: the user says `text`, with this scenario's
    /// marker behind it. With `more` fields over it.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it is always written in place")]
    pub fn ask(&self, model: &str, text: &str, more: Value) -> Value {
        let content = format!("{text} ({})", self.marker());
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": content}]});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    }

    /// All requests that came so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.playing.exchanges.lock().iter().map(|exchange| exchange.request.clone()).collect()
    }

    /// The first request; waits for it.
    pub async fn request(&self) -> ReceivedRequest {
        self.exchange().await.request
    }

    /// How the first exchange ended; waits for that. It ends when the answer was handed over or its client is gone.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.exchange().await.closed;
        let ended = async { closed.wait_for(Option::is_some).await.ok().and_then(|closed| *closed) };
        patiently(ended, || format!("the exchange of scenario {} did not end", self.id))
            .await
            .expect("the guard of an exchange tells its end before it goes")
    }

    async fn exchange(&self) -> Exchange {
        let first = self.playing.exchanges.wait(|exchanges| exchanges.first().cloned());
        patiently(first, || format!("no request came for scenario {}", self.id)).await
    }
}

/// Tells the end of an exchange when it is dropped, with whatever holds it: the handler, then the answer's body.
pub(super) struct ExchangeGuard {
    closed: watch::Sender<Option<Closed>>,
    pub(super) played_to_its_end: bool,
}

impl ExchangeGuard {
    /// The script was played to its end.
    pub(super) fn end(mut self) {
        self.played_to_its_end = true;
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        let closed = Closed { at: Instant::now(), played_to_its_end: self.played_to_its_end };
        self.closed.send_replace(Some(closed));
    }
}
