//! The way of a request, in order. Start reading here.
//!
//! 1. **identify**: an id and a place in a trace, before anything can go wrong.
//! 2. **preflight**: path, method, content type, announced length; what the head alone refuses. A browser's own question
//!    (CORS) is answered here.
//! 3. **admit**: who it is, whether it may come in, and how often.
//! 4. **route**: the body is read once, bounded, and a plan made of it.
//! 5. **forward**: the head is signed, the body handed over natively, the answer streamed back natively.
//! 6. **tell**: spans and counts, after the answer, when its body has ended.
//!
//! Every decision is a pure function in a module of that name; this one calls them and lets `platform` do what has
//! an effect.

use goblin_shared::{
    error_body::{ClientError, ErrorCode},
    server_timing::ServerTiming,
};

use crate::{
    admit::{self, Record, client_address},
    config::EdgeConfig,
    facts::RequestFacts,
    forward,
    identify::{Identity, identify},
    platform::{self, Answer, BackendError, Incoming, console},
    preflight::{self, Endpoint},
    refusal::{OwnAnswer, Refusal},
    route,
    telemetry::{Ending, Forwarded, Interval, RequestRecord},
};

/// Answers one request. Only a fault of the runtime itself is an error.
pub(crate) async fn answer(incoming: Incoming) -> platform::Answered {
    let start = platform::now();
    let mut facts = incoming.facts();
    let identity = identify(&facts, platform::unix_millis(start), &platform::entropy());
    let config = incoming.config();
    let config = match config.as_ref() {
        Ok(config) => config,
        Err(faults) => {
            console::error(&identity, &faults.to_string());
            let error =
                ClientError::new(ErrorCode::Misconfigured, "The gateway is not set up correctly; its log says how.");
            let timing = timing(&identity, start).into_value();
            return Answer::own(&Refusal::from(error).to_answer(identity.request_id, timing)).into_raw();
        }
    };
    let address = client_address(&facts, config.admit.dev_address_header.as_deref());
    facts.client.address = address.map(|address| address.to_string());
    // Without this, the runtime would drop everything at once when the client leaves, its spans included.
    let told = config.otlp.is_some().then(|| incoming.hold());

    let mut progress = Progress::default();
    let outcome = handle(&incoming, config, &mut facts, &identity, start, &mut progress).await;
    let (mut answer, refusal, left) = match outcome {
        Ok(answer) => (answer, None, false),
        // Nobody reads it.
        Err(Stopped::ClientLeft) => (Answer::client_left(), None, true),
        Err(Stopped::Refused(refusal)) => {
            if refusal.error.code.status() >= 500 {
                console::error(&identity, refusal.cause.as_deref().unwrap_or(&refusal.error.message));
            }
            let timing = timing(&identity, start).into_value();
            let mut answer = refusal.to_answer(identity.request_id, timing);
            answer.headers.append(&mut progress.fields);
            (Answer::own(&answer), Some(refusal.error.code.as_str()), false)
        }
    };
    if let Some(otlp) = &config.otlp {
        platform::count(&incoming, otlp, &identity, &progress.admission);
    }
    if let (Some(otlp), Some(told)) = (config.otlp.clone(), told) {
        let status = answer.status();
        let ended = answer.watch_end(&incoming);
        let authority = config.backend_origin.split_once("://").map_or("", |(_, rest)| rest).to_owned();
        incoming.afterwards(async move {
            let ending = if left { Ending::ClientLeft } else { ended.await };
            let end = platform::now();
            let forwarded = progress.forwarded_at.map(|start| Forwarded {
                interval: Interval { start, end },
                status: progress.backend_status,
                authority,
            });
            let record = RequestRecord {
                identity: &identity,
                method: &facts.method,
                scheme: facts.scheme(),
                endpoint: Endpoint::of_path(facts.path()),
                server: Interval { start, end },
                status,
                admission: &progress.admission,
                refusal,
                forwarded,
                ending,
            };
            platform::export(&otlp, &identity, &record).await;
            drop(told);
        });
    }
    answer.into_raw()
}

/// How far a request came; for its spans.
#[derive(Default)]
struct Progress {
    /// What was decided at the door.
    admission: Record,
    /// Fields that every answer carries, whoever gives it.
    fields: Vec<(&'static str, String)>,
    forwarded_at: Option<f64>,
    backend_status: Option<u16>,
}

async fn handle(
    incoming: &Incoming,
    config: &EdgeConfig,
    facts: &mut RequestFacts,
    identity: &Identity,
    start: f64,
    progress: &mut Progress,
) -> Result<Answer, Stopped> {
    progress.fields = config.cors.fields(facts);
    let surroundings = incoming.surroundings(config, identity);
    admit::tripwire(&config.admit, facts, &surroundings, &mut progress.admission)?;
    // A browser asks it before the request itself, and cannot show who it is.
    if let Some(preflight) = config.cors.preflight(facts) {
        progress.admission.answered(&preflight, "cors_preflight");
        let mut fields = preflight?;
        fields.append(&mut progress.fields);
        let timing = timing(identity, start).into_value();
        return Ok(Answer::own(&OwnAnswer::empty(fields, identity.request_id, timing)));
    }
    let endpoint = preflight::check(facts, config.body_limit)
        .inspect_err(|refusal| progress.admission.refused(refusal.error.code.as_str()))?;
    let admitted = admit::admit(&config.admit, facts, endpoint, &surroundings, &mut progress.admission).await?;
    progress.fields.extend(admitted.fields);
    facts.client.verdict = Some(admitted.verdict.as_str().to_owned());
    facts.client.agent.clone_from(&progress.admission.agent);
    if endpoint == Endpoint::Healthz {
        let body = if facts.method == "HEAD" { "" } else { r#"{"status":"ok"}"# };
        let timing = timing(identity, start).into_value();
        let mut answer = OwnAnswer::json(200, body.to_owned(), identity.request_id, timing);
        answer.headers.append(&mut progress.fields);
        return Ok(Answer::own(&answer));
    }

    let (plan, body) = if endpoint.takes_body() {
        let body = incoming.body(preflight::announced_length(facts), config.body_limit).await?;
        (Some(route::plan(platform::catalogue(), body.bytes())?), Some(body))
    } else {
        (None, None)
    };

    // Signed as it goes out: an upload may have taken longer than the backend lets a signature live.
    let forwarded_at = platform::now();
    let unix_seconds = platform::unix_millis(forwarded_at) / 1_000;
    let head = forward::outgoing_head(config, facts, identity, plan.as_ref(), unix_seconds);
    progress.forwarded_at = Some(forwarded_at);
    let answer = incoming.forward(&head, body, config).await?;
    progress.backend_status = Some(answer.status());
    let timing = timing(identity, start).append(&answer.server_timing()).into_value();
    Ok(answer.adopt(identity.request_id, &timing, &progress.fields))
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
    };
    let error = ClientError::new(code, message);
    let error = if code == ErrorCode::BackendUnreachable { error.with_retry_after(5) } else { error };
    Some(Refusal { cause: Some(format!("{}: {cause}", code.as_str())), ..error.into() })
}

fn timing(identity: &Identity, start: f64) -> ServerTiming {
    ServerTiming::default().trace(&identity.server.parent).duration("edge", platform::now() - start)
}
