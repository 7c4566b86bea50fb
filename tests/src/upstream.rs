//! LLM providers in one server, which does what each test tells it.
//!
//! It speaks three wire formats, told apart by path: OpenAI's (`/v1/chat/completions`, `/v1/embeddings`, and the same
//! below `/openai/deployments/{model}` as Azure has it), Anthropic's (`/v1/messages`) and Gemini's
//! (`/v1beta/models/{model}:generateContent` and its siblings). A friendly answer is given only to a request that the
//! real server would take; any other gets the error that the real one words.
//!
//! Tests share one upstream and run at the same time. A request names its test's scenario in the body field
//! `goblin_test`, which no provider knows: that it arrives also proves that unknown fields pass. Where they do not, as a
//! translation refuses them, the marker `goblin-test:<id>` anywhere in the body's text does the same.

mod anthropic;
mod call;
mod exchange;
mod friendly;
mod gemini;
mod openai;
mod playing;
mod refused;
mod sample;
mod script;
mod turn;
mod vector;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use http::Response;
use serde_json::Value;

use self::exchange::Playing;
pub(crate) use self::{call::Call, friendly::Greeting};
pub use self::{
    call::Family,
    exchange::{Closed, Scenario},
    script::{Release, Script, StatusBody, Steps},
};
use crate::http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest};

/// The body field that names a scenario.
pub const SCENARIO_FIELD: &str = "goblin_test";

/// What stands before a scenario's id where no field of the body can name it.
pub const SCENARIO_MARKER: &str = "goblin-test:";

/// Length of a scenario's id, a UUID in its usual form.
const ID_LENGTH: usize = 36;

/// A running upstream; ends when dropped.
pub struct Upstream {
    peer: HttpPeer,
    scenarios: Scenarios,
}

type Scenarios = Arc<Mutex<HashMap<String, Arc<Playing>>>>;

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
        self.base_url_of(Family::OpenAi)
    }

    /// What a client of `family` calls the base URL.
    #[must_use]
    pub fn base_url_of(&self, family: Family) -> String {
        format!("http://{}{}", self.address(), family.base_path())
    }

    /// Sets up what happens to requests that carry the id of the scenario that this returns.
    #[must_use]
    pub fn script(&self, script: Script) -> Scenario {
        let scenario = Scenario::new(script);
        let mut scenarios = self.scenarios.lock().unwrap_or_else(PoisonError::into_inner);
        scenarios.insert(scenario.id().to_owned(), scenario.playing());
        scenario
    }
}

async fn answer(request: ReceivedRequest, scenarios: Scenarios) -> Result<Response<AnswerBody>, HangUp> {
    let Some(call) = Call::of(&request.method, &request.uri) else { return Ok(call::unknown_path(&request)) };
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    let named = body.as_ref().and_then(|body| body[SCENARIO_FIELD].as_str());
    let Some(id) = named.map(str::to_owned).or_else(|| marked(&request.body)) else {
        return Ok(friendly::answer(&call, &request));
    };
    let playing = scenarios.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    match playing {
        Some(playing) => playing::play(&playing, &call, request).await,
        None => Ok(call.family.error(500, "no test set this scenario up")),
    }
}

/// The id behind the first marker in a body.
fn marked(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let (_, behind) = body.split_once(SCENARIO_MARKER)?;
    behind.get(..ID_LENGTH).map(str::to_owned)
}

#[cfg(test)]
mod tests;
