//! Plays a scenario's script to a request.

use std::{io, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{Response, StatusCode, header::CONTENT_TYPE};

use super::{
    call::{Call, Family},
    exchange::{ExchangeGuard, Playing},
    friendly::{self, EVENT_STREAM, JSON},
    script::{Script, StatusBody, Step, StepsToPlay, Words},
};
use crate::{
    http_peer::{AnswerBody, HangUp, ReceivedRequest, streamed, whole},
    upstream::{anthropic, gemini, openai},
};

/// Takes the request down and does with it what the script says.
pub(super) async fn play(
    playing: &Arc<Playing>,
    call: &Call,
    request: ReceivedRequest,
) -> Result<Response<AnswerBody>, HangUp> {
    let guard = playing.begin(request.clone());
    play_script(&playing.script, call, &request, guard).await
}

type Played<'a> = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, HangUp>> + Send + 'a>>;

/// Scripts hold scripts, some of which are made while they are played: hence the box.
fn play_script<'a>(
    script: &'a Script,
    call: &'a Call,
    request: &'a ReceivedRequest,
    guard: ExchangeGuard,
) -> Played<'a> {
    Box::pin(async move {
        let family = call.family;
        Ok(match script {
            Script::Friendly => complete(friendly::answer(call, request), guard),
            Script::Json(answer) => complete(answer_of(200, JSON, answer.to_string()), guard),
            Script::Stream(chunks) => {
                let mut text: String = chunks.iter().map(|chunk| event(family, chunk)).collect();
                text.push_str(last_event(family));
                complete(answer_of(200, EVENT_STREAM, text), guard)
            }
            Script::Status { status, headers, body } => {
                let body = match body {
                    StatusBody::Bytes(bytes) => bytes.clone(),
                    StatusBody::Message(message) => family.error_body(status.as_u16(), message).into(),
                };
                let mut answer = answer_of(status.as_u16(), JSON, body);
                answer.headers_mut().extend(headers.clone());
                complete(answer, guard)
            }
            Script::Raw { content_type, body } => complete(answer_of(200, content_type, body.clone()), guard),
            Script::HangUp => {
                guard.end();
                return Err(HangUp);
            }
            Script::After(delay, then) => {
                tokio::time::sleep(*delay).await;
                return play_script(then, call, request, guard).await;
            }
            Script::Held(gate, then) => {
                gate.passed().await;
                return play_script(then, call, request, guard).await;
            }
            Script::InTurn(turns) => return play_script(turns.next(), call, request, guard).await,
            Script::Chosen(choose) => {
                let chosen = choose(request);
                return play_script(&chosen, call, request, guard).await;
            }
            Script::LockStep(steps) => {
                let Some(steps) = steps.take() else {
                    return Ok(complete(family.error(500, "a second request for these steps"), guard));
                };
                let mut answer = Response::new(streamed(stepwise(steps, family, guard)));
                answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(EVENT_STREAM));
                answer
            }
        })
    })
}

/// An answer in one piece.
pub(super) fn answer_of(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status code");
    if let Ok(content_type) = content_type.parse() {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}

/// Nothing is left to do for the test but to hand the answer over.
fn complete(answer: Response<AnswerBody>, guard: ExchangeGuard) -> Response<AnswerBody> {
    guard.end();
    answer
}

/// A chunk as an event of the family's streams.
fn event(family: Family, chunk: &serde_json::Value) -> String {
    match family {
        Family::OpenAi | Family::Gemini => format!("data: {chunk}\n\n"),
        Family::Anthropic => anthropic::event(chunk),
    }
}

/// The family's last word in a stream.
fn last_event(family: Family) -> &'static str {
    match family {
        Family::OpenAi => openai::DONE,
        Family::Anthropic => anthropic::MESSAGE_STOP,
        Family::Gemini => "",
    }
}

/// The bytes that say it. `opened` is whether text was sent already: Anthropic opens a message and a block before.
fn in_words_of(family: Family, words: Words, opened: &mut bool) -> String {
    match words {
        Words::Chunk(chunk) => event(family, &chunk),
        Words::Text(text) => {
            let first = !std::mem::replace(opened, true);
            match family {
                Family::OpenAi => event(family, &openai::text_chunk("upstream", &text)),
                Family::Anthropic => anthropic::text_events(&text, first),
                Family::Gemini => event(family, &gemini::text_chunk("upstream", &text)),
            }
        }
        Words::Finish => {
            let finish = match family {
                Family::OpenAi => event(family, &openai::finish_chunk("upstream", "stop")),
                Family::Anthropic => anthropic::finish_events(),
                Family::Gemini => event(family, &gemini::finish_chunk("upstream")),
            };
            finish + last_event(family)
        }
        Words::Done => last_event(family).to_owned(),
    }
}

fn stepwise(
    steps: StepsToPlay,
    family: Family,
    guard: ExchangeGuard,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(Some((steps, guard, false)), move |state| async move {
        let (mut steps, mut guard, mut opened) = state?;
        match steps.recv().await {
            // A test that is over and took its end of the channel along.
            None => {
                guard.played_to_its_end = true;
                None
            }
            Some(Step::Cut) => {
                guard.played_to_its_end = true;
                Some((Err(io::Error::other("cut on purpose")), None))
            }
            Some(Step::Send(bytes)) => Some((Ok(bytes), Some((steps, guard, opened)))),
            Some(Step::Say(words)) => {
                let ends = words.end_the_body();
                guard.played_to_its_end = ends;
                let bytes = in_words_of(family, words, &mut opened).into();
                Some((Ok(bytes), (!ends).then_some((steps, guard, opened))))
            }
        }
    })
}
