//! Round trips over generated values: what is written is read back, within a format and across both.

mod across;
mod answers;
mod generated;
mod refusals;
mod requests;
pub(super) mod together;

use proptest::prelude::*;

pub(super) use self::generated::object as json_object;
use self::{generated::Family, together::put_together};
use super::{
    Model, Origin, anthropic,
    neutral::{Delta, Stop},
    openai, sse,
};
use crate::ports::Chunk;

fn origin() -> Origin {
    let request_id = goblin_shared::request_id::RequestId::new(1_764_000_000_000, &[7; 10]);
    Origin { request_id, created: 1_764_000_000, model: "catalogue-name".to_owned() }
}

fn events(chunks: Vec<Chunk>) -> impl Iterator<Item = sse::Event> {
    chunks.into_iter().map(|chunk| sse::Event {
        name: chunk.event.map(Into::into),
        data: chunk.data,
        ..sse::Event::default()
    })
}

/// Through a stream in OpenAI's shape.
fn through_openai(deltas: Vec<Delta>) -> Vec<Delta> {
    let mut writer = openai::StreamWriter::new(origin(), true);
    let mut chunks = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut chunks);
    }
    let mut reader = openai::StreamReader::default();
    let mut read = Vec::new();
    let done = sse::Event { data: "[DONE]".to_owned(), ..sse::Event::default() };
    for event in events(chunks).chain([done]) {
        assert!(event.name.is_none());
        reader.read(&event, &mut read).unwrap();
    }
    assert!(reader.is_complete());
    read
}

/// Through a stream in Anthropic's shape, whose blocks are checked to be begun and ended one after the other.
fn through_anthropic(deltas: Vec<Delta>) -> Vec<Delta> {
    let mut writer = anthropic::StreamWriter::new(origin());
    let mut chunks = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut chunks);
    }
    let mut reader = anthropic::StreamReader::default();
    let mut read = Vec::new();
    let (mut open, mut next) = (None, 0);
    for event in events(chunks) {
        let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(event.name.as_deref(), data["type"].as_str());
        let index = data["index"].as_u64();
        match event.name.as_deref() {
            Some("content_block_start") => {
                assert_eq!((open, index), (None, Some(next)));
                (open, next) = (index, next + 1);
            }
            Some("content_block_delta") => assert_eq!(open, index),
            Some("content_block_stop") => assert_eq!(open.take(), index),
            _ => assert_eq!(open, None),
        }
        reader.read(&event, &mut read).unwrap();
    }
    assert!(reader.is_complete());
    read
}

proptest! {
    #[test]
    fn requests_in_openais_shape(request in generated::request(Family::OpenAi)) {
        for max_tokens_field in ["max_tokens", "max_completion_tokens"] {
            let target = openai::Target { model: &Model::named("m"), max_tokens_field, stream_usage: true, reasoning_details: true };
            let written = openai::write_request(&request, target).unwrap();
            prop_assert_eq!(&openai::read_request(&written).unwrap(), &request);
        }
    }

    #[test]
    fn requests_in_anthropics_shape(request in generated::request(Family::Anthropic)) {
        let written = anthropic::write_request(&request, &Model::named("m")).unwrap();
        prop_assert_eq!(anthropic::read_request(&written).unwrap(), request);
    }

    #[test]
    fn answers_in_openais_shape(answer in generated::answer(Family::OpenAi)) {
        let written = openai::write_answer(&answer, &origin());
        prop_assert_eq!(openai::read_answer(&written).unwrap(), answer);
    }

    #[test]
    fn answers_in_anthropics_shape(answer in generated::answer(Family::Anthropic)) {
        let written = anthropic::write_answer(&answer, &origin());
        prop_assert_eq!(anthropic::read_answer(&written).unwrap(), answer);
    }

    #[test]
    fn streams_in_openais_shape(answer in generated::answer(Family::OpenAi)) {
        prop_assert_eq!(put_together(through_openai(together::deltas_of(&answer))), answer);
    }

    #[test]
    fn streams_in_anthropics_shape(answer in generated::answer(Family::Anthropic)) {
        prop_assert_eq!(put_together(through_anthropic(together::deltas_of(&answer))), answer);
    }

    #[test]
    fn streams_there_and_back(answer in generated::answer(Family::Both)) {
        let there = through_anthropic(through_openai(together::deltas_of(&answer)));
        prop_assert_eq!(put_together(through_openai(there)), answer);
    }

    #[test]
    fn any_json_is_read_or_refused(value in generated::json(), role in "user|assistant|tool|system", kind in "text|image|tool_use|tool_result|image_url") {
        let mut part = value.clone();
        if let Some(part) = part.as_object_mut() {
            part.insert("type".to_owned(), kind.clone().into());
        }
        for body in [
            value.clone(),
            serde_json::json!({"model": "m", "max_tokens": 1, "messages": [{"role": role, "content": [part]}], "tools": value}),
            serde_json::json!({"choices": [{"message": part, "delta": value}], "content": [part], "type": kind}),
        ] {
            let text = body.to_string();
            let _ = openai::read_request(text.as_bytes());
            let _ = anthropic::read_request(text.as_bytes());
            let _ = openai::read_answer(text.as_bytes());
            let _ = anthropic::read_answer(text.as_bytes());
            let event = sse::Event { data: text, ..sse::Event::default() };
            let _ = openai::StreamReader::default().read(&event, &mut Vec::new());
            let _ = anthropic::StreamReader::default().read(&event, &mut Vec::new());
        }
    }
}

#[test]
fn mixed_parallel_calls_become_blocks_one_after_the_other() {
    let call =
        |call, id: &str| Delta::ToolCall { choice: 0, call, id: id.to_owned(), name: "f".to_owned(), signature: None };
    let arguments = |call, json: &str| Delta::Arguments { choice: 0, call, json: json.to_owned() };
    let deltas = vec![
        call(0, "a"),
        call(1, "b"),
        arguments(1, r#"{"x":"#),
        arguments(0, r#"{"y":"#),
        arguments(1, "1}"),
        arguments(0, "2}"),
        call(2, "c"),
        call(3, "d"),
        arguments(3, "{}"),
        Delta::Stop { choice: 0, stop: Stop::ToolCalls },
        Delta::Done,
    ];
    let answer = put_together(through_anthropic(deltas.clone()));
    let expected = put_together(deltas);
    assert_eq!(answer.choices[0].parts, expected.choices[0].parts);
    assert_eq!(answer.choices[0].parts.len(), 4);
}

#[test]
fn arguments_are_looked_at_once_while_others_wait() {
    // A second call waits: what reads all arguments again for each piece reads 64 GB here.
    let long = "x".repeat(16_000_000);
    let began = std::time::Instant::now();
    let call =
        |call, id: &str| Delta::ToolCall { choice: 0, call, id: id.to_owned(), name: "f".to_owned(), signature: None };
    let arguments = |call, json: &str| Delta::Arguments { choice: 0, call, json: json.to_owned() };
    let mut writer = anthropic::StreamWriter::new(origin());
    let mut chunks = Vec::new();
    for delta in [call(0, "a"), arguments(0, "{\"x\":\""), arguments(0, &long), call(1, "b")] {
        writer.write(delta, &mut chunks);
    }
    for _ in 0..4_000 {
        writer.write(arguments(0, "x"), &mut chunks);
        chunks.clear();
    }
    writer.write(arguments(0, "\"}"), &mut chunks);
    let starts = chunks.iter().filter(|chunk| chunk.event.as_deref() == Some("content_block_start")).count();
    assert_eq!(starts, 1, "the second call begins with the end of the first");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
