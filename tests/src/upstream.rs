//! An LLM provider that speaks OpenAI's wire format and does what each test tells it.
//!
//! Tests share one upstream and run at the same time. A request names its test's scenario in the body field
//! `goblin_test`, which OpenAI does not know: that it arrives also proves that unknown fields pass.

mod friendly;
mod script;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::script::{Release, Script, Steps};
use self::script::{Step, StepsToPlay};
use crate::{
    http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest, SharedRecord, streamed, whole},
    patience::patiently,
};

/// The body field that names a scenario.
pub const SCENARIO_FIELD: &str = "goblin_test";

/// A running upstream; ends when dropped.
pub struct Upstream {
    peer: HttpPeer,
    scenarios: Scenarios,
}

type Scenarios = Arc<Mutex<HashMap<String, Arc<Playing>>>>;

/// A script, and what came for it.
struct Playing {
    script: Script,
    exchanges: SharedRecord<Exchange>,
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

impl Upstream {
    /// Starts on a free port.
    pub async fn start() -> Result<Self> {
        let scenarios = Scenarios::default();
        let known = scenarios.clone();
        let peer = HttpPeer::start(move |request| answer(request, known.clone())).await?;
        Ok(Self { peer, scenarios })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.peer.address()
    }

    /// What an OpenAI client calls the base URL: `http://…/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// Sets up what happens to requests that carry the id of the scenario that this returns.
    #[must_use]
    pub fn script(&self, script: Script) -> Scenario {
        let id = uuid::Uuid::new_v4().to_string();
        let playing = Arc::new(Playing { script, exchanges: SharedRecord::default() });
        self.scenarios.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), playing.clone());
        Scenario { id, playing }
    }
}

/// One test's part of the upstream.
pub struct Scenario {
    id: String,
    playing: Arc<Playing>,
}

impl Scenario {
    /// Value of `goblin_test` in the requests that belong to it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
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
struct ExchangeGuard {
    closed: watch::Sender<Option<Closed>>,
    played_to_its_end: bool,
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        let closed = Closed { at: Instant::now(), played_to_its_end: self.played_to_its_end };
        self.closed.send_replace(Some(closed));
    }
}

async fn answer(request: ReceivedRequest, scenarios: Scenarios) -> Result<Response<AnswerBody>, HangUp> {
    if request.method != Method::POST || request.uri.path() != "/v1/chat/completions" {
        return Ok(friendly::error(StatusCode::NOT_FOUND, "the upstream of the tests has only chat completions"));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Ok(friendly::error(StatusCode::BAD_REQUEST, "the body is not JSON"));
    };
    let Some(id) = body[SCENARIO_FIELD].as_str() else { return Ok(friendly::answer(&body)) };
    let playing = scenarios.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
    let Some(playing) = playing else {
        return Ok(friendly::error(StatusCode::INTERNAL_SERVER_ERROR, "no test set this scenario up"));
    };
    let (closed, closing) = watch::channel(None);
    let guard = ExchangeGuard { closed, played_to_its_end: false };
    playing.exchanges.push(Exchange { request, closed: closing });
    play(&playing.script, &body, guard).await
}

async fn play(script: &Script, body: &Value, mut guard: ExchangeGuard) -> Result<Response<AnswerBody>, HangUp> {
    let mut script = script;
    loop {
        match script {
            Script::Friendly => return Ok(complete(friendly::answer(body), guard)),
            Script::Json(answer) => {
                return Ok(complete(answer_of(StatusCode::OK, "application/json", answer.to_string()), guard));
            }
            Script::Stream(chunks) => {
                let text: String = chunks.iter().map(friendly::event).chain([friendly::DONE.to_owned()]).collect();
                return Ok(complete(answer_of(StatusCode::OK, friendly::EVENT_STREAM, text), guard));
            }
            Script::Status { status, headers, body } => {
                let mut answer = answer_of(*status, "application/json", body.clone());
                answer.headers_mut().extend(headers.clone());
                return Ok(complete(answer, guard));
            }
            Script::Raw { content_type, body } => {
                return Ok(complete(answer_of(StatusCode::OK, content_type, body.clone()), guard));
            }
            Script::HangUp => {
                guard.played_to_its_end = true;
                return Err(HangUp);
            }
            Script::After(delay, then) => {
                tokio::time::sleep(*delay).await;
                script = then;
            }
            Script::Held(gate, then) => {
                gate.passed().await;
                script = then;
            }
            Script::LockStep(steps) => {
                let Some(steps) = steps.take() else {
                    return Ok(friendly::error(StatusCode::INTERNAL_SERVER_ERROR, "a second request for these steps"));
                };
                let mut answer = Response::new(streamed(stepwise(steps, guard)));
                answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(friendly::EVENT_STREAM));
                return Ok(answer);
            }
        }
    }
}

fn answer_of(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    if let Ok(content_type) = content_type.parse() {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}

/// Nothing is left to do for the test but to hand the answer over.
fn complete(answer: Response<AnswerBody>, mut guard: ExchangeGuard) -> Response<AnswerBody> {
    guard.played_to_its_end = true;
    answer
}

fn stepwise(steps: StepsToPlay, guard: ExchangeGuard) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(Some((steps, guard)), |state| async move {
        let (mut steps, mut guard) = state?;
        match steps.recv().await {
            Some(Step::Send(bytes)) => Some((Ok(bytes), Some((steps, guard)))),
            Some(Step::Cut) => {
                guard.played_to_its_end = true;
                Some((Err(io::Error::other("cut on purpose")), None))
            }
            // Also a test that is over and took its end of the channel along.
            Some(Step::End) | None => {
                guard.played_to_its_end = true;
                None
            }
        }
    })
}

#[cfg(test)]
mod tests;
