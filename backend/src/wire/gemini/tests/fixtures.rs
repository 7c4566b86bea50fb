//! Answers as the public documentation shows them: <https://ai.google.dev/api/generate-content>,
//! <https://ai.google.dev/gemini-api/docs/function-calling>, <https://ai.google.dev/gemini-api/docs/thought-signatures>,
//! <https://ai.google.dev/gemini-api/docs/caching>, <https://ai.google.dev/gemini-api/docs/file-input-methods>.

use serde_json::{Value, json};

use super::{super::mirror, request_id, write_request};
use crate::{
    ports::Usage,
    wire::{
        Unreadable,
        gemini::{StreamReader, read_answer},
        neutral::{Answer, AssistantPart, Choice, Delta, Stop, ToolCall},
        sse,
    },
};

const ID: &str = "mAitaLmkHPPlz7IPvtfUqQ4";
const MODEL: &str = "gemini-3-flash-preview";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/gemini/", $name))
    };
}

const STREAMS: [&str; 4] =
    [fixture!("text.sse"), fixture!("thoughts_and_calls.sse"), fixture!("blocked.sse"), fixture!("signature_last.sse")];

fn answer(choice: Choice, usage: Usage) -> Answer {
    Answer { id: Some(ID.to_owned()), model: Some(MODEL.to_owned()), choices: vec![choice], usage: Some(usage) }
}

fn tokens(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens, ..Usage::default() }
}

fn read(body: &str) -> Answer {
    read_answer(body.as_bytes(), request_id()).unwrap()
}

fn text(text: &str, stop: Stop) -> Choice {
    Choice { parts: vec![AssistantPart::Text(text.to_owned())], stop: Some(stop), logprobs: None }
}

#[test]
fn a_text() {
    let expected = answer(text("AI learns patterns from data.", Stop::End), tokens(8, 6));
    assert_eq!(read(fixture!("text.json")), expected);
}

#[test]
fn parallel_calls_of_which_the_first_is_signed() {
    let call = |id: &str, name: &str, arguments: Value, signature: Option<&str>| {
        let (id, name, signature) = (id.to_owned(), name.to_owned(), signature.map(str::to_owned));
        AssistantPart::ToolCall(ToolCall { id, name, arguments, signature })
    };
    let parts = vec![
        call("fc-1", "check_flight", json!({ "flight": "AA100" }), Some("RXJzdGVTaWduYXR1cg==")),
        call("fc-2", "book_taxi", json!({ "time": "10 AM", "seats": 2 }), None),
    ];
    let choice = Choice { parts, stop: Some(Stop::ToolCalls), logprobs: None };
    let usage = Usage { reasoning_tokens: Some(12), ..tokens(90, 42) };
    assert_eq!(read(fixture!("parallel_calls.json")), answer(choice, usage));
}

#[test]
fn a_prompt_that_was_blocked() {
    let choice = Choice { stop: Some(Stop::Filtered), ..Choice::default() };
    assert_eq!(read(fixture!("blocked.json")), answer(choice, tokens(7, 0)));
}

#[test]
fn a_prompt_that_was_cached() {
    let usage = Usage { cached_tokens: Some(696_190), ..tokens(696_229, 214) };
    assert_eq!(read(fixture!("cache.json")), answer(text("The speech is about courage.", Stop::Length), usage));
}

#[test]
fn probabilities_of_tokens() {
    let token = |token: &str, logprob: f64| json!({ "token": token, "logprob": logprob, "bytes": null });
    let mut chosen = token("Hi", -0.25);
    chosen["top_logprobs"] = json!([token("Hi", -0.25), token("Hello", -1.5)]);
    let logprobs = json!({ "content": [chosen], "refusal": null });
    let expected = answer(Choice { logprobs: Some(logprobs), ..text("Hi", Stop::End) }, tokens(2, 1));
    assert_eq!(read(fixture!("logprobs.json")), expected);
}

#[test]
fn a_question_about_images() {
    let body: Value = serde_json::from_str(fixture!("image_question.request.json")).unwrap();
    let request = mirror::read_request(body.to_string().as_bytes());
    let written: Value = serde_json::from_slice(&write_request(&request).unwrap()).unwrap();
    assert_eq!(written, body);
}

/// Reads a body in pieces: what it said, and whether it was complete.
fn stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Delta>, bool), Unreadable> {
    let (mut parser, mut reader) = (sse::Parser::default(), StreamReader::new(request_id()));
    let mut deltas = Vec::new();
    for piece in pieces {
        let mut events = Vec::new();
        parser.push(piece, &mut events).unwrap();
        for event in &events {
            reader.read(event, &mut deltas)?;
        }
    }
    if let Some(event) = parser.finish() {
        reader.read(&event, &mut deltas)?;
    }
    let complete = reader.is_complete();
    if complete {
        reader.finish(&mut deltas);
    }
    Ok((deltas, complete))
}

fn begin() -> Delta {
    Delta::Begin { id: Some(ID.to_owned()), model: Some(MODEL.to_owned()) }
}

fn said(text: &str) -> Delta {
    Delta::Text { choice: 0, text: text.to_owned() }
}

fn stop(stop: Stop) -> Delta {
    Delta::Stop { choice: 0, stop }
}

#[test]
fn streams_say_what_they_say() {
    let id = |number: u32| format!("call_{}_{number}", request_id().to_string().replace('-', ""));
    let call = |call: u32, name: &str, signature: Option<&str>| {
        let (name, signature) = (name.to_owned(), signature.map(str::to_owned));
        Delta::ToolCall { choice: 0, call, id: id(call), name, signature }
    };
    let arguments = |call: u32, json: &str| Delta::Arguments { choice: 0, call, json: json.to_owned() };
    let reasoning = |text: &str| Delta::Reasoning { choice: 0, text: text.to_owned() };
    let thought = |prompt, completion, thoughts| {
        Delta::Usage(Usage { reasoning_tokens: Some(thoughts), ..tokens(prompt, completion) })
    };
    let expected = [
        vec![
            begin(),
            said("Grüße"),
            Delta::Usage(tokens(8, 0)),
            said(" aus 東京"),
            Delta::Usage(tokens(8, 6)),
            stop(Stop::End),
        ],
        vec![
            begin(),
            reasoning("**Checking**"),
            thought(90, 9, 9),
            call(0, "check_flight", Some("U2ln")),
            arguments(0, r#"{"flight":"AA100"}"#),
            call(1, "book_taxi", None),
            arguments(1, "{}"),
            thought(90, 29, 9),
            thought(90, 29, 9),
            stop(Stop::ToolCalls),
        ],
        vec![begin(), Delta::Usage(tokens(7, 0)), stop(Stop::Filtered)],
        vec![
            begin(),
            reasoning("Of risk"),
            said("Low."),
            Delta::Usage(Usage { cached_tokens: Some(4), reasoning_tokens: Some(40), ..tokens(5, 42) }),
            stop(Stop::End),
        ],
    ];
    for (body, expected) in STREAMS.into_iter().zip(expected) {
        assert_eq!(stream([body.as_bytes()]), Ok((expected, true)));
    }
}

#[test]
fn a_stream_that_was_cut_is_no_whole_one() {
    for body in STREAMS {
        let whole = stream([body.as_bytes()]).unwrap().0;
        // From here on nothing but white space is missing.
        let end = body.trim_end().len();
        for place in 0..=body.len() {
            match stream([&body.as_bytes()[..place]]) {
                Ok((deltas, complete)) => {
                    assert!(whole.starts_with(&deltas), "cut at {place}");
                    assert_eq!(complete, place >= end, "cut at {place}");
                }
                // Half an event is found out.
                Err(Unreadable(_)) => assert!(place < end, "cut at {place}"),
            }
        }
    }
}
