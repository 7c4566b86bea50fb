//! The way of a request, in order. Start reading here.
//!
//! 1. **identify**: an id and a place in a trace, before anything can go wrong.
//! 2. **preflight**: path, method, content type, announced length; what the head alone refuses. A browser's own question
//!    (CORS) is answered here.
//! 3. **admit**: who it is, whether it may come in, and how often.
//! 4. **route**: the body is read once, bounded, and a plan made of it; of requests about conversations it is only handed
//!    on.
//! 5. **forward**: the head is signed, the body handed over natively, the answer streamed back natively. An origin that
//!    cannot be reached is followed by the next.
//! 6. **tell**: spans, counts and log records, when the answer's body has ended, sent later.
//!
//! Every decision is a pure function in a module of that name; this one calls them and lets `platform` do what has
//! an effect.

use std::rc::Rc;

use goblin_shared::{
    api::Api,
    error_body::{ClientError, ErrorCode},
    headers::GOBLIN_ROUTE_REASON,
    route::Planned,
    server_timing::ServerTiming,
    trace_context::SpanId,
};

use crate::{
    admit::{self, Record, client_address},
    config::EdgeConfig,
    facts::RequestFacts,
    forward::{self, Attempt},
    identify::{Grant, Identity, further_attempt, identify},
    platform::{self, Answer, BackendError, Body, Fetched, Incoming, console},
    preflight::{self, Endpoint},
    refusal::{OwnAnswer, Refusal},
    route,
    telemetry::{Ending, Forwarded, Interval, RequestRecord, RouteFacts},
};

/// Answers one request. Only a fault of the runtime itself is an error.
pub(crate) async fn answer(incoming: Incoming) -> platform::Answered {
    let start = platform::now();
    let facts = incoming.facts();
    let config = incoming.config();
    let recording = config.as_ref().as_ref().ok().map(EdgeConfig::recording);
    let identity = identify(&facts, platform::unix_millis(start), &platform::entropy(), recording);
    // The shape of errors; that of a path which is nobody's is OpenAI's.
    let api = Api::of_path(facts.path()).unwrap_or_default();
    let valid = match config.as_ref() {
        Ok(valid) => valid,
        Err(faults) => {
            console::error(&identity, &faults.to_string());
            let timing = timing(&identity, start).into_value();
            let answer = Refusal::from(misconfigured()).to_answer(api, identity.request_id, timing);
            return Answer::own(&answer, &incoming).into_raw();
        }
    };
    // Without this, the runtime would drop everything at once when the client leaves, its spans included.
    let held = valid.otlp.is_some().then(|| incoming.hold());

    let mut way = Way { incoming: &incoming, config: valid, identity: &identity, start, facts, tale: Tale::default() };
    let outcome = way.go().await;
    let Way { facts, mut tale, .. } = way;
    let mut answer = match outcome {
        Ok(answer) => answer,
        // Nobody reads it.
        Err(Stopped::ClientLeft) => {
            tale.left = true;
            Answer::client_left(&incoming)
        }
        Err(Stopped::Refused(refusal)) => {
            let timing = timing(&identity, start).into_value();
            let mut answer = refusal.to_answer(api, identity.request_id, timing);
            answer.headers.append(&mut tale.fields);
            let answer = Answer::own(&answer, &incoming);
            // Where nothing is sent, what is told goes to the console anyway.
            let is_failure = refusal.error.code.status() >= 500 && valid.otlp.is_some();
            if let Some(cause) = refusal.cause.as_deref().filter(|_| is_failure) {
                console::error(&identity, cause);
            }
            tale.refusal = Some(refusal);
            answer
        }
    };
    tale.status = answer.status();
    tale.answered_at = platform::now();
    let end = answer.take_end();
    let (config, tell) = (Rc::clone(&config), incoming.later());
    let ended = move |ending| {
        let Ok(config) = config.as_ref() else { return };
        let attempts = tale.attempts(config);
        tell.tell(config, &identity, &tale.record(&facts, &identity, &attempts, start, ending));
    };
    match end {
        None => ended(Ending::Complete),
        Some(end) => incoming.afterwards(async move {
            ended(end.await);
            drop(held);
        }),
    }
    answer.into_raw()
}

/// One request on its way.
struct Way<'a> {
    incoming: &'a Incoming,
    config: &'a EdgeConfig,
    identity: &'a Identity,
    start: f64,
    facts: RequestFacts,
    tale: Tale,
}

/// What is told of a request besides its facts, as far as it came.
#[derive(Default)]
struct Tale {
    /// What was decided at the door.
    admission: Record,
    /// Fields that every answer carries, whoever gives it.
    fields: Vec<(&'static str, String)>,
    /// What was planned, and the first that it names.
    planned: Option<Planned>,
    first: Option<String>,
    /// The fetches to backends.
    tries: Vec<Try>,
    /// Milliseconds that were spent waiting: for the client's upload, for backends.
    waited_ms: f64,
    refusal: Option<Refusal>,
    /// The client left before there was an answer.
    left: bool,
    status: u16,
    answered_at: f64,
}

impl Way<'_> {
    async fn go(&mut self) -> Result<Answer, Stopped> {
        let Self { incoming, config, identity, .. } = *self;
        let address = client_address(&self.facts, config.admit.dev_address_header.as_deref());
        self.facts.client.address = address.map(|address| address.to_string());
        self.tale.fields = config.cors.fields(&self.facts);
        let surroundings = incoming.surroundings(config, identity);
        admit::tripwire(&config.admit, &self.facts, &surroundings, &mut self.tale.admission)?;
        // A browser asks it before the request itself, and cannot show who it is.
        if let Some(preflight) = config.cors.preflight(&self.facts) {
            self.tale.admission.answered(&preflight, "cors_preflight");
            let fields = preflight?;
            return Ok(self.own(|timing| OwnAnswer::empty(fields, identity.request_id, timing)));
        }
        let endpoint = preflight::check(&self.facts, config.body_limit)
            .inspect_err(|refusal| self.tale.admission.refused(refusal.error.code.as_str()))?;
        let admitted =
            admit::admit(&config.admit, &self.facts, endpoint, &surroundings, &mut self.tale.admission).await?;
        self.tale.fields.extend(admitted.fields);
        self.facts.client.verdict = Some(admitted.verdict.as_str().to_owned());
        self.facts.client.agent.clone_from(&self.tale.admission.agent);
        if endpoint == Endpoint::Healthz {
            let body = if self.facts.method == "HEAD" { "" } else { r#"{"status":"ok"}"# };
            return Ok(self.own(|timing| OwnAnswer::json(200, body.to_owned(), identity.request_id, timing)));
        }
        let body = match endpoint.api() {
            Some(api) => Some(self.route(api).await?),
            None if endpoint.has_body(&self.facts.method) => Some(self.read_body().await?),
            None => None,
        };
        let (fetched, origin) = self.forward(body.as_ref()).await?;
        if fetched.head.refusal.is_some() {
            let authority = config.origins.all()[origin].authority();
            let cause = format!(
                "the backend at {authority} does not believe this edge: keys or clocks differ (EDGE_SIGNING_KEY here, \
                 edge.signing_keys there)"
            );
            return Err(Refusal { cause: Some(cause), ..misconfigured().into() }.into());
        }
        platform::note_health(config, identity, origin, &fetched.head.health);
        if let Some(planned) = self.tale.planned.as_ref().filter(|_| identity.is_granted()) {
            self.tale.fields.push((GOBLIN_ROUTE_REASON, planned.reason.clone()));
        }
        let timing = timing(identity, self.start).append(&fetched.head.server_timing).into_value();
        Ok(fetched.adopt(incoming, identity.request_id, &timing, &self.tale.fields, config.otlp.is_some()))
    }

    /// Reads the body once, bounded: where an origin cannot be reached, the next one gets the same.
    async fn read_body(&mut self) -> Result<Body, Stopped> {
        let begun = platform::now();
        let body = self.incoming.body(preflight::announced_length(&self.facts), self.config.body_limit).await;
        let body = body.map_err(|refusal| if self.is_left() { Stopped::ClientLeft } else { refusal.into() })?;
        self.tale.waited_ms += platform::now() - begun;
        Ok(body)
    }

    /// Reads the body and makes a plan of it.
    ///
    /// Of a chat with `conversation_id` the prompt is longer than its body says, by what was said before. Only the
    /// backend knows that: it leaves out entries whose window is too small, and nothing is refused here because of it.
    async fn route(&mut self, api: Api) -> Result<Body, Stopped> {
        let Self { incoming, config, identity, .. } = *self;
        let body = self.read_body().await?;
        let catalogue = incoming.catalogue(config, identity).await;
        let first = config.origins.order(self.facts.region).next().map_or(0, |(index, _)| index);
        incoming.refresh_health(config, identity, first);
        let now = platform::now();
        let planned = platform::with_health(|book| {
            // Where the first cannot be reached, the next one's word counts: it is the one that will be asked.
            let mut pages = config.origins.order(self.facts.region);
            let health = pages.find_map(|(index, _)| book.view(index, config.health, now));
            route::plan(&catalogue, api, body.bytes(), self.facts.region, health, identity.request_id)
        })?;
        self.tale.first = planned.plan.entries().first().map(ToString::to_string);
        self.tale.planned = Some(planned);
        Ok(body)
    }

    /// Sends the request to the first origin that can be reached, and says which it was.
    async fn forward(&mut self, body: Option<&Body>) -> Result<(Fetched, usize), Stopped> {
        let Self { incoming, config, identity, .. } = *self;
        let plan = self.tale.planned.as_ref().map(|planned| &planned.plan);
        let deadline = platform::now() + f64::from(config.first_byte_timeout_ms);
        let mut origins = config.origins.order(self.facts.region).peekable();
        let mut number = 0;
        while let Some((index, origin)) = origins.next() {
            number += 1;
            let context = match number {
                1 => identity.client.clone(),
                _ => further_attempt(identity, &platform::entropy()),
            };
            // Signed as it goes out: an upload may have taken longer than the backend lets a signature live.
            let start = platform::now();
            let attempt = Attempt { number, origin, context: &context };
            let unix_seconds = platform::unix_millis(start) / 1_000;
            let head = forward::outgoing_head(config, &self.facts, identity.request_id, &attempt, plan, unix_seconds);
            let fetched = incoming.forward(&head, body, deadline - start, config.otlp.is_some()).await;
            let end = platform::now();
            self.tale.waited_ms += end - start;
            self.tale.tries.push(Try {
                origin: index,
                span: context.parent.span_id,
                interval: Interval { start, end },
                status: fetched.as_ref().ok().map(|fetched| fetched.head.status),
                error: fetched.as_ref().err().map(BackendError::as_str),
            });
            match fetched {
                Ok(fetched) => return Ok((fetched, index)),
                Err(BackendError::Unreachable(cause)) if origins.peek().is_some() && end < deadline => {
                    let authority = origin.authority();
                    console::error(identity, &format!("{authority} cannot be reached, the next is tried: {cause}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("a configuration has an origin")
    }

    /// Whether the client is gone; known only where something holds the request after it.
    fn is_left(&self) -> bool {
        self.config.otlp.is_some() && self.incoming.is_left()
    }

    fn own(&mut self, answer: impl FnOnce(String) -> OwnAnswer) -> Answer {
        let mut answer = answer(timing(self.identity, self.start).into_value());
        answer.headers.append(&mut self.tale.fields);
        Answer::own(&answer, self.incoming)
    }
}

/// One fetch to a backend.
struct Try {
    /// Number of the origin.
    origin: usize,
    span: SpanId,
    interval: Interval,
    status: Option<u16>,
    error: Option<&'static str>,
}

impl Tale {
    /// The fetches as telemetry takes them; one that was answered ends with the body, which is now.
    fn attempts<'a>(&self, config: &'a EdgeConfig) -> Vec<Forwarded<'a>> {
        let forwarded = |tried: &Try| {
            let Try { origin, span, interval, status, error } = *tried;
            let end = if status.is_some() { platform::now() } else { interval.end };
            let authority = config.origins.all()[origin].authority();
            Forwarded { span, interval: Interval { end, ..interval }, status, authority, error }
        };
        self.tries.iter().map(forwarded).collect()
    }

    fn record<'a>(
        &'a self,
        facts: &'a RequestFacts,
        identity: &'a Identity,
        attempts: &'a [Forwarded<'a>],
        start: f64,
        ending: Ending,
    ) -> RequestRecord<'a> {
        let route = self.planned.as_ref().map(|planned| RouteFacts {
            reason: Some(&planned.reason),
            first: self.first.as_deref(),
            catalogue: Some(planned.plan.catalogue_version()),
        });
        RequestRecord {
            identity,
            sampled: identity.is_sampled(),
            method: &facts.method,
            scheme: facts.scheme(),
            endpoint: Endpoint::of_path(facts.path()),
            server: Interval { start, end: platform::now() },
            overhead_ms: (self.answered_at - start - self.waited_ms).max(0.0),
            status: self.status,
            admission: &self.admission,
            grant: identity.grant.map(Grant::as_str),
            route,
            refusal: self.refusal.as_ref().map(|refusal| refusal.error.code.as_str()),
            cause: self.refusal.as_ref().and_then(|refusal| refusal.cause.as_deref()),
            attempts,
            ending: if self.left { Ending::ClientLeft } else { ending },
        }
    }
}

/// Why a request has no answer of the backend.
enum Stopped {
    /// It is refused.
    Refused(Refusal),
    /// There is nobody to answer.
    ClientLeft,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BackendError> for Stopped {
    fn from(error: BackendError) -> Self {
        refuse(error).map_or(Self::ClientLeft, Self::Refused)
    }
}

fn refuse(error: BackendError) -> Option<Refusal> {
    let (code, message, cause) = match error {
        BackendError::ClientLeft => return None,
        BackendError::Unreachable(cause) => {
            (ErrorCode::BackendUnreachable, "The service cannot be reached for now; try again shortly.", cause)
        }
        BackendError::TimedOut => {
            let cause = "no answer within BACKEND_FIRST_BYTE_TIMEOUT_MS".to_owned();
            (ErrorCode::BackendTimeout, "The service did not answer in time; try again.", cause)
        }
        BackendError::BrokeOff(cause) => {
            (ErrorCode::BackendBrokeOff, "The service broke off its answer; try again.", cause)
        }
    };
    let error = ClientError::new(code, message);
    let error = if code == ErrorCode::BackendUnreachable { error.with_retry_after(5) } else { error };
    Some(Refusal { cause: Some(format!("{}: {cause}", code.as_str())), ..error.into() })
}

fn misconfigured() -> ClientError {
    ClientError::new(ErrorCode::Misconfigured, "The gateway is not set up correctly; its log says how.")
}

fn timing(identity: &Identity, start: f64) -> ServerTiming {
    ServerTiming::default().trace(&identity.server.parent).duration("edge", platform::now() - start)
}
