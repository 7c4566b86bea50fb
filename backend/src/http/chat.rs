//! `POST /v1/chat/completions`, `/v1/messages` and `/v1/embeddings`: the same way for all, each in its own shape.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::Stream;
use goblin_shared::{
    api::Api,
    catalogue::Target,
    chat_request::{self, ChatFacts},
    error_body::{ClientError, ErrorCode},
    headers::{ANTHROPIC_BETA, ANTHROPIC_VERSION, GOBLIN_CONTEXT_DROPPED, GOBLIN_MODEL},
    limits::JSON_DEPTH,
    route::{Circumstances, Plan},
};
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};
use tracing::Span;

use super::{
    accept::ProviderTime,
    continued,
    edge_gate::Admission,
    errors::{Failure, shutting_down},
    layers::Service,
    limit_fields::LimitFields,
    request_context::RequestContext,
    sse,
};
use crate::{
    chat::{
        Account, Accounted, Bill, ChatRequest, LastWord, PlanFailure, Step, Streaming, Usable, conversation::Continued,
    },
    monitoring::{self, metrics::Mode},
    ports::{ClientRequest, Principal},
};

/// Longest time that the head of a stream is held back for the first content.
const HOLD: Duration = Duration::from_secs(15);

/// Longest silence towards the client.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);

/// Longest time for a request's body.
const BODY_WITHIN: Duration = Duration::from_mins(1);

/// `POST /v1/chat/completions`
pub(super) async fn completions(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<RequestContext>,
    principal: Option<Extension<Principal>>,
    request: Request,
) -> Result<Response, Failure> {
    answer(Api::ChatCompletions, service, context, principal, request).await
}

/// `POST /v1/messages`
pub(super) async fn messages(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<RequestContext>,
    principal: Option<Extension<Principal>>,
    request: Request,
) -> Result<Response, Failure> {
    answer(Api::Messages, service, context, principal, request).await
}

/// `POST /v1/embeddings`
pub(super) async fn embeddings(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<RequestContext>,
    principal: Option<Extension<Principal>>,
    request: Request,
) -> Result<Response, Failure> {
    answer(Api::Embeddings, service, context, principal, request).await
}

/// Reads, plans, has the plan carried out, and answers in one piece or as a stream.
async fn answer(
    api: Api,
    service: Arc<Service>,
    context: RequestContext,
    principal: Option<Extension<Principal>>,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    check_head(&head.headers, service.body_limit)?;
    let (anthropic_version, anthropic_beta) =
        if api == Api::Messages { anthropic_fields(&head.headers)? } else { (None, None) };
    let place = service.places.take()?;
    let body = read_body(body, service.body_limit).await?;
    let facts = chat_request::read(&body, JSON_DEPTH, api)?;
    let entries = plan(&service, &context, &facts)?;
    let principal = principal.map_or_else(Principal::anonymous, |Extension(principal)| principal);
    let (entries, resumed) = continued::resume(&service, &principal, &body, &facts, entries).await?;
    let mut bill = bill(&facts, &context, principal, &entries);
    if let Some(resumed) = &resumed {
        bill.prompt_tokens = resumed.prompt_tokens.into();
        bill.conversation_id = Some(resumed.draft.conversation_id().to_owned());
    }
    let (stream, include_usage) = (facts.stream, facts.include_usage);
    // From here on the request is settled, whatever happens.
    let Accounted { mut account, limits, at_ms } = unless_cut(&service, service.accounts.open(bill)).await?;
    if api != Api::Embeddings {
        context.progress.admitted(if stream { Mode::Stream } else { Mode::Unary });
    }
    let limits = LimitFields::new(&limits, at_ms);
    let request_id = context.request_id;
    let (body, dropped) = match resumed {
        None => (body, None),
        Some(Continued { body, dropped, recorder, draft, .. }) => {
            account.keep(draft, recorder);
            (body, Some(dropped).filter(|dropped| *dropped > 0))
        }
    };
    let client = ClientRequest { api, body, stream, include_usage, anthropic_version, anthropic_beta, request_id };
    let (random_trace_id, onward) = (context.random_trace_id, context.onward.clone());
    let request = ChatRequest { client, random_trace_id, onward };
    match carry_out(service, context, entries, request, account).await {
        Ok(mut response) => {
            if let Some(dropped) = dropped {
                response.headers_mut().insert(GOBLIN_CONTEXT_DROPPED, dropped.into());
            }
            // Until the last byte of the answer has left.
            response.extensions_mut().insert(Arc::new(place));
            limits.add_to(response.headers_mut());
            Ok(response)
        }
        Err(failure) => Err(failure.with_limits(limits)),
    }
}

/// Has the plan carried out, and answers in one piece or as a stream.
async fn carry_out(
    service: Arc<Service>,
    context: RequestContext,
    entries: Vec<Usable>,
    request: ChatRequest,
    account: Account,
) -> Result<Response, Failure> {
    let called = Instant::now();
    let last_word = account.last_word();
    let (mut response, target) = if request.client.stream {
        let api = request.client.api;
        let mut streaming = service.chat.stream(entries, request, account);
        let (target, first) = unless_told(&service, &last_word, open(&mut streaming)).await?;
        let body = Body::from_stream(frames(api, service, context, first, streaming, last_word));
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        ((headers, body).into_response(), target)
    } else {
        let completion = service.chat.complete(&entries, &request, account);
        let answered = unless_told(&service, &last_word, completion).await?;
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        ((headers, answered.body).into_response(), Some(answered.target))
    };
    response.extensions_mut().insert(ProviderTime(called.elapsed()));
    if let Some(target) = target.and_then(|target| HeaderValue::try_from(target.to_string()).ok()) {
        response.headers_mut().insert(GOBLIN_MODEL, target);
    }
    Ok(response)
}

/// What a request may use, as its facts say it.
fn bill<'a>(
    facts: &'a ChatFacts<'_>,
    context: &RequestContext,
    principal: Principal,
    entries: &'a [Usable],
) -> Bill<'a> {
    let trace = monitoring::tracing::traceparent(&Span::current(), context.random_trace_id);
    Bill {
        request_id: context.request_id,
        principal,
        api: facts.api,
        stream: facts.stream,
        model_asked: &facts.model,
        trace_id: trace.map(|trace| trace.trace_id.to_string()),
        conversation_id: None,
        prompt_tokens: facts.prompt_tokens.into(),
        output_tokens: facts.output_tokens,
        choices: facts.choices,
        service_tier: facts.service_tier,
        entries,
    }
}

/// What can be called for a request: by the edge's plan, or by one of our own where no edge made one.
fn plan(service: &Service, context: &RequestContext, facts: &ChatFacts<'_>) -> Result<Vec<Usable>, Failure> {
    let planned = match &context.admission {
        Admission::Edge(edge) => edge.plan.clone(),
        Admission::Anybody | Admission::Refused(_) => None,
    };
    let plan = if let Some(plan) = planned {
        plan
    } else {
        let health = service.chat.health();
        let circumstances = Circumstances { health: Some(&health), ..Circumstances::of(&context.request_id) };
        Plan::for_request(service.chat.catalogue(), facts, &circumstances)?.plan
    };
    let usable = service.chat.usable(&plan);
    let dropped = plan.entries().len() - usable.len();
    if dropped > 0 {
        Span::current().record("goblin.plan.dropped", i64::try_from(dropped).unwrap_or(i64::MAX));
    }
    if usable.is_empty() {
        let message = "No provider of this model is configured here; GET /v1/models lists what can be asked for.";
        let error = ClientError::new(ErrorCode::NoProvider, message).with_param("model");
        let planned: Vec<String> = plan.entries().iter().map(ToString::to_string).collect();
        let cause = format!("nothing of the plan is configured here: {}", planned.join(", "));
        return Err(Failure::new(error).for_good().caused_by(cause));
    }
    Ok(usable)
}

/// Waits for who answers, or until the head of the answer is held back no longer. The step that came, if it did.
async fn open(streaming: &mut Streaming) -> Result<(Option<Target>, Option<Step>), PlanFailure> {
    match timeout(HOLD, streaming.next()).await {
        // Errors from here on are events of the stream.
        Err(_held_long_enough) => Ok((None, None)),
        Ok(Ok(Step::Begun(target))) => Ok((Some(target), None)),
        Ok(Ok(step)) => Ok((None, Some(step))),
        Ok(Err(failure)) => Err(failure),
    }
}

/// Waits, but not beyond the time that an ending program gives.
async fn unless_cut<T, E: Into<Failure>>(
    service: &Service,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    tokio::select! {
        answer = answer => answer.map_err(Into::into),
        () = service.shutdown.cut_off() => Err(shutting_down()),
    }
}

/// Waits for providers likewise; what gives up then is settled with what the client is told.
async fn unless_told<T>(
    service: &Service,
    last_word: &LastWord,
    answer: impl Future<Output = Result<T, PlanFailure>>,
) -> Result<T, Failure> {
    // Told before the answer is given up, which a select does before it runs what belongs to a branch.
    let cut = async {
        service.shutdown.cut_off().await;
        last_word.tell(ErrorCode::ShuttingDown);
    };
    tokio::select! {
        answer = answer => answer.map_err(Into::into),
        () = cut => Err(shutting_down()),
    }
}

/// The body of a streamed answer: one frame for each event, as they come.
fn frames(
    api: Api,
    service: Arc<Service>,
    context: RequestContext,
    first: Option<Step>,
    mut streaming: Streaming,
    last_word: LastWord,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        let mut step = first;
        let failure = loop {
            match step.take() {
                Some(Step::Chunk(chunk)) => {
                    if chunk.content {
                        context.progress.first_content();
                    }
                    yield Ok(sse::event(chunk.event.as_deref(), &chunk.data));
                }
                Some(Step::Done) => {
                    if api == Api::ChatCompletions {
                        yield Ok(sse::DONE);
                    }
                    return;
                }
                Some(Step::Begun(_)) | None => {}
            }
            let next = tokio::select! {
                () = service.shutdown.cut_off() => {
                    last_word.tell(ErrorCode::ShuttingDown);
                    break shutting_down();
                }
                next = timeout(KEEP_ALIVE_AFTER, streaming.next()) => next,
            };
            match next {
                Err(_silence) => yield Ok(sse::KEEP_ALIVE),
                Ok(Ok(next)) => step = Some(next),
                Ok(Err(failure)) => break failure.into(),
            }
        };
        // First the provider's connection, then the word of it.
        drop(streaming);
        // The status is long gone: an error event is how a client learns that this is not the end of the answer.
        failure.log();
        context.late_failure.report(failure.error.code);
        let name = (api == Api::Messages).then_some("error");
        yield Ok(sse::event(name, &failure.error.to_json(api, context.request_id)));
    }
}

/// The fields of a request that belong to Anthropic's API: its version, and what of it is in trial.
fn anthropic_fields(headers: &HeaderMap) -> Result<(Option<String>, Option<String>), Failure> {
    let refuse =
        |param: &str, message: &str| Failure::new(ClientError::new(ErrorCode::InvalidField, message).with_param(param));
    let version = headers.get(ANTHROPIC_VERSION).map(|version| version.to_str().unwrap_or_default());
    let is_date = |text: &str| {
        text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    if version.is_some_and(|version| !is_date(version)) {
        return Err(refuse(ANTHROPIC_VERSION, "`anthropic-version` must be a date such as 2023-06-01."));
    }
    let mut betas = Vec::new();
    for value in headers.get_all(ANTHROPIC_BETA) {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let names = value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|name| !name.is_empty());
        for name in names {
            if !is_name(name) || name.len() > 64 || betas.len() >= 32 {
                return Err(refuse(ANTHROPIC_BETA, "`anthropic-beta` must be at most 32 names with commas between."));
            }
            betas.push(name);
        }
    }
    Ok((version.map(str::to_owned), (!betas.is_empty()).then(|| betas.join(","))))
}

/// What the head alone refuses, with the same words as the edge.
pub(super) fn check_head(headers: &HeaderMap, body_limit: usize) -> Result<(), Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let media_type = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = "Send the body as JSON, with content-type: application/json.";
        return Err(ClientError::new(ErrorCode::UnsupportedMediaType, message).into());
    }
    let encoding = text(CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        let message = "Send the body as it is, without content-encoding.";
        return Err(ClientError::new(ErrorCode::UnsupportedMediaType, message).into());
    }
    if text(CONTENT_LENGTH).parse::<u64>().is_ok_and(|length| length > body_limit as u64) {
        return Err(body_too_large(body_limit));
    }
    Ok(())
}

/// Reads a body whole, within bounds of size and time.
pub(super) async fn read_body(body: Body, body_limit: usize) -> Result<Bytes, Failure> {
    let Ok(read) = timeout(BODY_WITHIN, Limited::new(body, body_limit).collect()).await else {
        let message = format!("The body did not come to its end within {} s; send it again.", BODY_WITHIN.as_secs());
        return Err(ClientError::new(ErrorCode::InvalidJson, message).into());
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(body_too_large(body_limit)),
        Err(error) => {
            let message = "The body could not be read to its end; send it again.";
            Err(Failure::new(ClientError::new(ErrorCode::InvalidJson, message)).caused_by(error))
        }
    }
}

fn body_too_large(body_limit: usize) -> Failure {
    let message = format!("The body is larger than {body_limit} bytes; send less.");
    ClientError::new(ErrorCode::BodyTooLarge, message).into()
}
