//! Requests through all layers, without sockets.

mod access;
mod accounts;
mod admin;
mod admission;
mod answers;
mod conversations;
mod health;
mod incidents;
mod messages;
mod model;
mod pressure;
mod spans;
mod streaming;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use goblin_shared::{
    api_key::IssuerSecret,
    catalogue::{BUILT_IN, Catalogue},
    edge_signature::{SignedHead, SigningKey},
    request_id::RequestId,
};
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tower::ServiceExt;

use goblin_shared::trace_context::Formats;

use super::{Acceptance, Admin, EdgeGate, Places, ReplayStore, Service, operations_router, service_router};
use crate::{
    ambient::{RandomIds, SystemRandom},
    chat::{
        Accounts, BreakerSettings, ChatService, ChatSettings, LaneSettings, Retries, Timeouts, Upstream,
        conversation::memory::InMemory,
    },
    identity::{ApiKeys, Identity, KeyOffice, Mode, memory_keys::MemoryKeys},
    monitoring::{
        Watch,
        metrics::{Metrics, read_back::unread},
    },
    ports::{Clock, Provider, StreamEvent},
    provider::{
        adapter::Adapter,
        scripted::{Scripted, Step},
    },
    shutdown::Shutdown,
};

/// Requests that are served at once.
const PLACES: usize = 10;
/// How long a key is believed.
const AUTH_CACHE: Duration = Duration::from_mins(1);
const NOW: u64 = 1_800_000_000;
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-03";
const ROUTE: &str = r#""openai/gpt-4.1";v="1""#;

const SETTINGS: ChatSettings = ChatSettings {
    timeouts: Timeouts {
        first_content: Duration::from_mins(1),
        attempt: Duration::from_secs(30),
        between_chunks: Duration::from_secs(30),
        total: Duration::from_mins(10),
    },
    retries: Retries {
        attempts: 1,
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(1),
        retry_after_limit: Duration::ZERO,
    },
    breakers: Some(BreakerSettings {
        window: Duration::from_secs(30),
        min_calls: 5,
        error_ratio: 0.5,
        open_for: Duration::from_secs(10),
        open_for_limit: Duration::from_mins(2),
        probes: 1,
    }),
};

/// A clock that the test moves, in seconds.
struct ByHand(AtomicU64);

impl Clock for ByHand {
    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed) * 1_000
    }
}

fn key() -> SigningKey {
    "k:0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// Makes API keys.
fn issuer() -> IssuerSecret {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// The one that is being rotated in.
fn other_key() -> SigningKey {
    "next:fedcba9876543210fedcba9876543210".parse().unwrap()
}

/// The backend under test.
struct Backend {
    router: Router,
    /// What handlers work with.
    service: Arc<Service>,
    /// The conversations there are.
    conversations: Arc<InMemory>,
    operations: Router,
    shutdown: Shutdown,
    clock: Arc<ByHand>,
    provider: Arc<Scripted>,
    /// The keys there are.
    keys: Arc<MemoryKeys>,
    /// Moves the provider; closed when its call is given up.
    steps: UnboundedSender<Step>,
}

impl Backend {
    fn new(required: bool) -> Self {
        Self::with_replay_capacity(required, 100)
    }

    fn with_replay_capacity(required: bool, replay_capacity: usize) -> Self {
        Self::build(required, replay_capacity, None, Mode::Off, &unread(), Accounts::off(Arc::new(unread())))
    }

    /// One that everybody may ask, and that keeps accounts.
    fn with_accounts(accounts: Accounts) -> Self {
        Self::build(false, 100, None, Mode::Off, &unread(), accounts)
    }

    /// With this provider under the name `openai`, in place of the one that is moved step by step.
    fn with_provider(required: bool, provider: Arc<dyn Provider>) -> Self {
        Self::build(required, 100, Some(provider), Mode::Off, &unread(), Accounts::off(Arc::new(unread())))
    }

    /// Where it is asked who asks.
    fn with_auth(required: bool, mode: Mode, metrics: &Metrics) -> Self {
        Self::build(required, 100, None, mode, metrics, Accounts::off(Arc::new(unread())))
    }

    fn build(
        required: bool,
        replay_capacity: usize,
        other: Option<Arc<dyn Provider>>,
        mode: Mode,
        metrics: &Metrics,
        accounts: Accounts,
    ) -> Self {
        let clock = Arc::new(ByHand(NOW.into()));
        let provider = Scripted::new("provider");
        let steps = provider.then_stream();
        let demo = Adapter::demo(Duration::ZERO, ["goblin-demo".to_owned()].into(), clock.clone());
        let lane = LaneSettings { max_concurrency: 10, max_queue: 0, queue_timeout: Duration::from_secs(1) };
        let upstreams = BTreeMap::from([
            ("openai".to_owned(), Upstream::new(other.unwrap_or_else(|| provider.clone()), lane)),
            ("demo".to_owned(), Upstream::new(Arc::new(demo), lane)),
        ]);
        let shutdown = Shutdown::default();
        let keys = Arc::new(MemoryKeys::default());
        let api_keys = ApiKeys::new(Some(keys.clone()), vec![issuer()], AUTH_CACHE, clock.clone());
        let office = KeyOffice::new(keys.clone(), Some(issuer()), Arc::new(SystemRandom), clock.clone());
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let conversations = conversations::kept_in_memory(clock.clone());
        let service = Arc::new(Service {
            chat: Arc::new(ChatService::new(catalogue, upstreams, SETTINGS, Arc::new(SystemRandom), metrics.clone())),
            identity: Arc::new(Identity::new(mode, api_keys, None, metrics.clone())),
            admin: Some(Admin {
                office,
                ledger: Arc::new(admin::UsedUp),
                incidents: Arc::<incidents::Told>::default(),
                business: Arc::new(admin::Quiet),
                clock: clock.clone(),
            }),
            accounts,
            conversations: Some(Arc::new(conversations.0)),
            store: None,
            watch: Watch::of(metrics.clone()),
            places: Places::new(PLACES),
            shutdown: shutdown.clone(),
            body_limit: 1_000,
        });
        let acceptance = |required| {
            let replays = ReplayStore::new(replay_capacity, 60);
            let keys = vec![other_key(), key()];
            let gate = EdgeGate { required, keys, skew_seconds: 60, replays, clock: clock.clone() };
            Arc::new(Acceptance {
                gate,
                ids: Arc::new(RandomIds::new(clock.clone())),
                metrics: metrics.clone(),
                formats: Formats::default(),
            })
        };
        Self {
            router: service_router(service.clone(), acceptance(required)),
            operations: operations_router(service.clone(), acceptance(false)),
            service,
            conversations: conversations.1,
            shutdown,
            clock,
            provider,
            keys,
            steps,
        }
    }

    async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a streamed chat request without waiting for its answer.
    fn stream(&self, more: &str) -> tokio::task::JoinHandle<Response> {
        let request = chat(&format!(r#"{{"model":"gpt-4.1","stream":true,"messages":[{{}}]{more}}}"#));
        let router = self.router.clone();
        tokio::spawn(async move { router.oneshot(request).await.unwrap() })
    }

    fn play(&self, events: impl IntoIterator<Item = StreamEvent>) {
        for event in events {
            self.steps.send(Ok(event)).unwrap();
        }
    }
}

fn chat(body: &str) -> Request<Body> {
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn demo_request() -> Request<Body> {
    chat(r#"{"model":"goblin-demo","messages":[{"role":"user","content":"hi"}]}"#)
}

/// The head that the edge would make.
struct Signed {
    request_id: String,
    attempt: &'static str,
    route: &'static str,
    time: u64,
}

impl Default for Signed {
    fn default() -> Self {
        let request_id = RequestId::new(NOW * 1_000, &[1; 10]).to_string();
        Self { request_id, attempt: "1", route: r#""demo/goblin-demo";v="1""#, time: NOW }
    }
}

impl Signed {
    fn sign(&self, mut request: Request<Body>) -> Request<Body> {
        let signature = SignedHead {
            method: request.method().as_str(),
            path_and_query: request.uri().path_and_query().unwrap().as_str(),
            request_id: &self.request_id,
            attempt: self.attempt,
            route: self.route,
            client: "",
            traceparent: PARENT,
        }
        .sign(&key(), self.time);
        let headers = request.headers_mut();
        headers.insert("x-goblin-request-id", self.request_id.parse().unwrap());
        headers.insert("x-goblin-attempt", self.attempt.parse().unwrap());
        if !self.route.is_empty() {
            headers.insert("x-goblin-route", self.route.parse().unwrap());
        }
        headers.insert("traceparent", PARENT.parse().unwrap());
        headers.insert("x-goblin-edge-signature", signature.parse().unwrap());
        request
    }
}

async fn body(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Status and code of an error, whose id must be the one in the head.
async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let error: Value = serde_json::from_str(&body(response).await).unwrap();
    assert_eq!(error["error"]["request_id"], id.as_str());
    (status, error["error"]["code"].as_str().unwrap().to_owned())
}

async fn next_frame(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap().into_data().unwrap();
    Some(String::from_utf8(frame.to_vec()).unwrap())
}

/// What a stranger is told.
fn refused() -> (u16, String) {
    (403, "edge_signature_invalid".to_owned())
}
