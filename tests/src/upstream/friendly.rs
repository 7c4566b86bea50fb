//! Answers of a provider that works, in the family's words.

use http::Response;
use serde_json::Value;

use super::{
    anthropic,
    call::{Call, Family, Wanted},
    gemini, openai,
    playing::answer_of,
    refused::Refused,
    turn::Turn,
};
use crate::http_peer::{AnswerBody, ReceivedRequest};

pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// The whole of an answer.
#[derive(Debug)]
pub(super) enum Whole {
    /// In one piece.
    Unary(Value),
    /// The bytes of a stream.
    Stream(String),
}

/// What a provider that works answers, or that family's error when the request is not as it wants it.
pub(super) fn answer(call: &Call, request: &ReceivedRequest) -> Response<AnswerBody> {
    match read_and_answer(call, request) {
        Ok(Whole::Unary(answer)) => answer_of(200, JSON, answer.to_string()),
        Ok(Whole::Stream(events)) => answer_of(200, EVENT_STREAM, events),
        Err(Refused { status, message, field }) => {
            let field = field.as_deref();
            let error = match call.family {
                Family::OpenAi => openai::error_body(status, &message, field),
                Family::Anthropic => anthropic::error_body(status, &message),
                Family::Gemini => gemini::error_body(status, &message, field),
            };
            answer_of(status, JSON, error.to_string())
        }
    }
}

/// What a provider that works says to a greeting, for those who say it only in part.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The answer in one piece.
    pub(crate) unary: String,
    /// The events of a stream before the first content.
    pub(crate) prelude: String,
    /// The event with the first content.
    pub(crate) first: String,
    /// All events behind it.
    pub(crate) rest: String,
}

impl Greeting {
    /// The words of a family.
    pub(crate) fn of(family: Family) -> Self {
        let say = |streams| {
            let turn = Turn { model: "upstream".to_owned(), streams, ..Turn::default() };
            match family {
                Family::OpenAi => openai::answer(&turn),
                Family::Anthropic => anthropic::answer(&turn),
                Family::Gemini => gemini::answer(&turn),
            }
        };
        let (Whole::Unary(unary), Whole::Stream(stream)) = (say(false), say(true)) else {
            unreachable!("the form is as it was asked for")
        };
        let events = stream.split_inclusive(if family == Family::Gemini { "\r\n\r\n" } else { "\n\n" });
        let (mut prelude, mut first, mut rest) = (String::new(), String::new(), String::new());
        for event in events {
            if first.is_empty() && event.contains("Hello") {
                first.push_str(event);
            } else if first.is_empty() {
                prelude.push_str(event);
            } else {
                rest.push_str(event);
            }
        }
        Self { unary: unary.to_string(), prelude, first, rest }
    }
}

fn read_and_answer(call: &Call, request: &ReceivedRequest) -> Result<Whole, Refused> {
    match call.family {
        Family::OpenAi => openai::authenticate(&request.headers)?,
        Family::Anthropic => anthropic::authenticate(&request.headers)?,
        Family::Gemini => gemini::authenticate(request)?,
    }
    let media_type = request.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type.starts_with(JSON) {
        return Err(Refused::status(415, format!("Unsupported content type: '{media_type}'")));
    }
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Refused::whole("We could not parse the JSON body of your request."))?;
    let Some(body) = body.as_object() else { return Err(Refused::whole("The body is no JSON object")) };
    match (call.family, &call.wanted) {
        (Family::OpenAi, Wanted::Chat) => openai::chat(body, call.model.as_deref()),
        (Family::OpenAi, _) => openai::embeddings(body, call.model.as_deref()),
        (Family::Anthropic, _) => anthropic::messages(body, &request.headers),
        (Family::Gemini, wanted) => {
            let model = call.model.as_deref().unwrap_or_default();
            match wanted {
                Wanted::Chat => gemini::generate(body, model, call.streams),
                Wanted::Embeddings => gemini::embed_batch(body, model),
                Wanted::Embedding => gemini::embed(body, model),
            }
        }
    }
}
