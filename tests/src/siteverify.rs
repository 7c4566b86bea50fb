//! Turnstile's siteverify as its documentation describes it, with what can go wrong on order.
//!
//! <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>: a form or JSON goes in with
//! `secret`, `response` (the token) and, optionally, `remoteip` and `idempotency_key`; a verdict in JSON comes out. A
//! token is good for 300 s and for one check; the same check may be repeated under its idempotency key.

mod verdict;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest, SharedRecord, whole},
    secret,
};

/// Path of the service.
const PATH: &str = "/turnstile/v0/siteverify";

/// A running siteverify; ends when dropped.
pub struct Siteverify {
    peer: HttpPeer,
    state: Arc<State>,
}

struct State {
    secret: String,
    tokens: Mutex<HashMap<String, Token>>,
    checks: SharedRecord<Check>,
}

/// A challenge that somebody solved, as its token vouches for it.
#[derive(Clone, Debug)]
pub struct Solved {
    /// Name of the page's host.
    pub hostname: String,
    /// What the page called the action; none where it called it nothing.
    pub action: Option<String>,
    /// What the page passed along.
    pub cdata: Option<String>,
    /// How long ago.
    pub age: Duration,
    /// What siteverify does when it is asked for the token.
    pub manner: Manner,
}

impl Default for Solved {
    fn default() -> Self {
        Self {
            hostname: "chat.example".to_owned(),
            action: Some("chat".to_owned()),
            cdata: None,
            age: Duration::ZERO,
            manner: Manner::Documented,
        }
    }
}

/// What siteverify does when it is asked for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Judges it, as the documentation says.
    Documented,
    /// Vouches for it whatever its age and however often it is asked.
    Careless,
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    HangUp,
    /// Answers 500.
    ServerError,
    /// Answers 200 with what is no verdict.
    Garbage,
    /// Says `invalid-input-secret`, as if the operator's secret were wrong.
    WrongSecret,
}

/// A token that was given out.
struct Token {
    solved: Solved,
    solved_at: OffsetDateTime,
    spent: Option<Spent>,
}

/// The one check that a token was good for.
struct Spent {
    idempotency_key: Option<String>,
}

/// What siteverify was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// The operator's secret.
    pub secret: Option<String>,
    /// The token.
    pub response: Option<String>,
    /// The client's address.
    pub remoteip: Option<String>,
    /// Names the check, so that it can be repeated.
    pub idempotency_key: Option<String>,
}

impl Siteverify {
    /// Starts on a free port, with a secret of its own.
    pub async fn start() -> Result<Self> {
        let secret = secret::fresh()?;
        let state = Arc::new(State { secret, tokens: Mutex::default(), checks: SharedRecord::default() });
        let known = Arc::clone(&state);
        let peer = HttpPeer::start(move |request| answer(request, Arc::clone(&known))).await?;
        Ok(Self { peer, state })
    }

    /// `TURNSTILE_SITEVERIFY_URL`
    #[must_use]
    pub fn url(&self) -> String {
        let address: SocketAddr = self.peer.address();
        format!("http://{address}{PATH}")
    }

    /// `TURNSTILE_SECRET_KEY`
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.state.secret
    }

    /// A token of a challenge that was just solved in good order.
    #[must_use]
    pub fn token(&self) -> String {
        self.token_of(Solved::default())
    }

    /// A token of `solved`.
    #[must_use]
    pub fn token_of(&self, solved: Solved) -> String {
        let token = format!("0.{}", uuid::Uuid::new_v4());
        self.give_out(&token, solved);
        token
    }

    /// Makes `token` the token of `solved`.
    pub fn give_out(&self, token: &str, solved: Solved) {
        let solved_at = OffsetDateTime::now_utc() - solved.age;
        self.state.tokens().insert(token.to_owned(), Token { solved, solved_at, spent: None });
    }

    /// All that was asked so far.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        self.state.checks.lock().clone()
    }

    /// What was asked for one token so far.
    #[must_use]
    pub fn checks_of(&self, token: &str) -> Vec<Check> {
        let mut checks = self.checks();
        checks.retain(|check| check.response.as_deref() == Some(token));
        checks
    }
}

impl State {
    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(request: ReceivedRequest, state: Arc<State>) -> Result<Response<AnswerBody>, HangUp> {
    if request.uri.path() != PATH {
        return Ok(answer_of(StatusCode::NOT_FOUND, "there is only siteverify"));
    }
    if request.method != Method::POST {
        return Ok(answer_of(StatusCode::METHOD_NOT_ALLOWED, "siteverify is asked by POST"));
    }
    let Some(check) = read(&request) else {
        return Ok(verdict_of(&verdict::refused("bad-request")));
    };
    state.checks.push(check.clone());
    let manner = check.response.as_ref().and_then(|token| Some(state.tokens().get(token)?.solved.manner));
    match manner.unwrap_or(Manner::Documented) {
        Manner::Documented | Manner::Careless => {
            Ok(verdict_of(&verdict::judge(&check, &state.secret, &mut state.tokens(), OffsetDateTime::now_utc())))
        }
        Manner::Hang => std::future::pending().await,
        Manner::HangUp => Err(HangUp),
        Manner::ServerError => Ok(answer_of(StatusCode::INTERNAL_SERVER_ERROR, "{}")),
        Manner::Garbage => Ok(verdict_of(&json!("verdict"))),
        Manner::WrongSecret => Ok(verdict_of(&verdict::refused("invalid-input-secret"))),
    }
}

/// What a request asks, in either of the two forms; `None` when it is neither.
fn read(request: &ReceivedRequest) -> Option<Check> {
    let kind = request.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => serde_json::from_slice(&request.body).ok(),
        "application/x-www-form-urlencoded" => {
            let mut check = Check::default();
            for (name, value) in form_urlencoded::parse(&request.body) {
                let field = match name.as_ref() {
                    "secret" => &mut check.secret,
                    "response" => &mut check.response,
                    "remoteip" => &mut check.remoteip,
                    "idempotency_key" => &mut check.idempotency_key,
                    _ => continue,
                };
                *field = Some(value.into_owned());
            }
            Some(check)
        }
        _ => None,
    }
}

fn verdict_of(verdict: &Value) -> Response<AnswerBody> {
    answer_of(StatusCode::OK, verdict.to_string())
}

fn answer_of(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests;
