//! `POST /v1/chat/completions`.

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
    chat_request,
    error_body::{ClientError, ErrorCode},
    headers::GOBLIN_MODEL,
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
    edge_gate::Admission,
    errors::{Failure, shutting_down},
    layers::Service,
    request_context::RequestContext,
    sse,
};
use crate::{
    chat::{self, Attempt, ChatRequest, Piece},
    ports::ProviderError,
};

/// Longest silence towards the client.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);

/// Answers a chat request, whole or as a stream.
pub(super) async fn completions(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    check_head(&head.headers, service.body_limit)?;
    let body = read_body(body, service.body_limit).await?;
    let facts = chat_request::read(&body, JSON_DEPTH, Api::ChatCompletions)?;
    let planned = match &context.admission {
        Admission::Edge(edge) => edge.plan.clone(),
        Admission::Anybody | Admission::Refused(_) => None,
    };
    let plan = if let Some(plan) = planned {
        plan
    } else {
        let health = service.chat.health();
        let circumstances = Circumstances { health: Some(&health), ..Circumstances::of(&context.request_id) };
        Plan::for_request(service.chat.catalogue(), &facts, &circumstances)?.plan
    };
    let usable = service.chat.usable(&plan);
    let dropped = plan.entries().len() - usable.len();
    if dropped > 0 {
        Span::current().record("goblin.plan.dropped", i64::try_from(dropped).unwrap_or(i64::MAX));
    }
    let Some(entry) = usable.first() else {
        let message = "No provider of this model is available here for now.";
        let error = ClientError::new(ErrorCode::NoProvider, message).with_retry_after(30);
        let planned: Vec<String> = plan.entries().iter().map(ToString::to_string).collect();
        let cause = format!("nothing of the plan is configured here: {}", planned.join(", "));
        return Err(Failure::new(error).caused_by(cause));
    };
    let (stream, include_usage) = (facts.stream, facts.include_usage);
    let request =
        ChatRequest { body, include_usage, request_id: context.request_id, random_trace_id: context.random_trace_id };

    let called = Instant::now();
    let mut response = if stream {
        let mut attempt = service.chat.stream(entry, request);
        let opened = unless_cut(&service, chat::open(&mut attempt)).await?;
        let body = if opened.complete {
            Body::from_stream(futures_util::stream::iter(whole(opened.pieces)))
        } else {
            Body::from_stream(frames(service.clone(), context, opened.pieces, attempt))
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, body).into_response()
    } else {
        let answer = unless_cut(&service, service.chat.complete(entry, request)).await?;
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response()
    };
    response.extensions_mut().insert(ProviderTime(called.elapsed()));
    if let Ok(target) = HeaderValue::try_from(entry.target.to_string()) {
        response.headers_mut().insert(GOBLIN_MODEL, target);
    }
    Ok(response)
}

/// Waits for a provider, but not beyond the time that an ending program gives.
async fn unless_cut<T>(
    service: &Service,
    answer: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, Failure> {
    tokio::select! {
        answer = answer => Ok(answer?),
        () = service.shutdown.cut_off() => Err(shutting_down()),
    }
}

fn whole(pieces: Vec<Piece>) -> impl Iterator<Item = Result<Bytes, Infallible>> {
    pieces.into_iter().map(|piece| sse::event(&piece.data)).chain([sse::DONE]).map(Ok)
}

/// The body of a streamed answer: one frame for each event, as they come.
fn frames(
    service: Arc<Service>,
    context: RequestContext,
    opened: Vec<Piece>,
    mut attempt: Attempt,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        for piece in opened {
            yield Ok(sse::event(&piece.data));
        }
        let failure = loop {
            let next = tokio::select! {
                () = service.shutdown.cut_off() => break shutting_down(),
                next = timeout(KEEP_ALIVE_AFTER, attempt.next()) => next,
            };
            match next {
                Err(_silence) => yield Ok(sse::KEEP_ALIVE),
                Ok(Ok(Some(piece))) => yield Ok(sse::event(&piece.data)),
                Ok(Ok(None)) => {
                    yield Ok(sse::DONE);
                    return;
                }
                Ok(Err(error)) => break error.into(),
            }
        };
        // The status is long gone: an error event is how a client learns that this is not the end of the answer.
        failure.log();
        context.late_failure.report(failure.error.code);
        yield Ok(sse::event(&failure.error.to_json(Api::ChatCompletions, context.request_id)));
    }
}

/// What the head alone refuses, with the same words as the edge.
fn check_head(headers: &HeaderMap, body_limit: usize) -> Result<(), Failure> {
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

async fn read_body(body: Body, body_limit: usize) -> Result<Bytes, Failure> {
    match Limited::new(body, body_limit).collect().await {
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
