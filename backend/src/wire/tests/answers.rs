//! Answers translated, and what they are read for.

use serde_json::{Value, json};

use super::origin;
use crate::wire::{
    anthropic,
    neutral::{Delta, Stop},
    openai, sse,
};

#[test]
fn a_refusal_is_one_for_an_anthropic_client() {
    let body = json!({"choices": [{"index": 0, "message": {"refusal": "No."}, "finish_reason": "stop"}]});
    let answer = openai::read_answer(body.to_string().as_bytes()).unwrap();
    let written: Value = serde_json::from_slice(&anthropic::write_answer(&answer, &origin())).unwrap();
    assert_eq!(written["stop_reason"], "refusal");
    assert_eq!(written["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(written["model"], "catalogue-name");
    assert!(written["id"].as_str().unwrap().starts_with("msg_"));
}

#[test]
fn an_answer_that_calls_has_ended_for_that() {
    let call = json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let said = json!({"content": null, "tool_calls": [call]});
    let body = json!({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]});
    let answer = openai::read_answer(body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.choices[0].stop, Some(Stop::ToolCalls));

    let mut reader = openai::StreamReader::default();
    let mut deltas = Vec::new();
    for choice in [json!({"delta": said}), json!({"delta": {}, "finish_reason": "stop"})] {
        let event = sse::Event { data: json!({"choices": [choice]}).to_string(), ..sse::Event::default() };
        reader.read(&event, &mut deltas).unwrap();
    }
    assert_eq!(deltas.last(), Some(&Delta::Stop { choice: 0, stop: Stop::ToolCalls }));
}

#[test]
fn content_in_parts_is_read() {
    let thought =
        json!({"type": "thinking", "thinking": [{"type": "text", "text": "H"}, {"type": "text", "text": "m."}]});
    let text = json!({"type": "text", "text": "42"});
    let said = json!({"role": "assistant", "content": [thought, {"type": "reference", "reference_ids": [1]}, text]});
    let body = json!({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]});
    let answer = openai::read_answer(body.to_string().as_bytes()).unwrap();
    let written: Value = serde_json::from_slice(&anthropic::write_answer(&answer, &origin())).unwrap();
    let expected = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "42"},
    ]);
    assert_eq!(written["content"], expected);

    let mut reader = openai::StreamReader::default();
    let mut deltas = Vec::new();
    for content in [json!([thought]), json!([text]), json!("!"), json!([]), json!("")] {
        let data = json!({"choices": [{"index": 0, "delta": {"content": content}}]}).to_string();
        reader.read(&sse::Event { data, ..sse::Event::default() }, &mut deltas).unwrap();
    }
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    assert_eq!(deltas[1..], [Delta::Reasoning { choice: 0, text: "Hm.".to_owned() }, text("42"), text("!")]);
}

#[test]
fn no_end_is_invented() {
    assert!(openai::read_answer(br#"{"choices":[]}"#).is_err());
    let answer = openai::read_answer(br#"{"choices":[{"index":0,"message":{"content":"x"}}]}"#).unwrap();
    let written: Value = serde_json::from_slice(&anthropic::write_answer(&answer, &origin())).unwrap();
    assert_eq!(written["stop_reason"], Value::Null);
    let written: Value = serde_json::from_slice(&openai::write_answer(&answer, &origin())).unwrap();
    assert_eq!(written["choices"][0]["finish_reason"], Value::Null);
}

#[test]
fn answers_of_the_fixtures_are_read_whatever_is_added_to_them() {
    let answer = openai::read_answer(include_bytes!("../fixtures/openai/answer_tools.json")).unwrap();
    let written: Value = serde_json::from_slice(&anthropic::write_answer(&answer, &origin())).unwrap();
    let usage = json!({"input_tokens": 36, "output_tokens": 40, "cache_read_input_tokens": 64,
        "output_tokens_details": {"thinking_tokens": 12}});
    assert_eq!(written["usage"], usage);
    assert_eq!(written["stop_reason"], "tool_use");
    assert_eq!(written["content"][0]["input"], json!({"city": "Köln"}));

    let answer = anthropic::read_answer(include_bytes!("../fixtures/anthropic/answer_thinking.json")).unwrap();
    let written: Value = serde_json::from_slice(&openai::write_answer(&answer, &origin())).unwrap();
    let message = &written["choices"][0]["message"];
    assert_eq!(message["content"], "It is 42 – zweiundvierzig.");
    assert_eq!(message["reasoning_content"], "Seven times six.");
    assert_eq!(message["reasoning_details"][1], json!({"type": "reasoning.encrypted", "data": "ZW5jcnlwdGVk"}));
    assert_eq!(written["usage"]["total_tokens"], 92);
    assert_eq!(written["usage"]["prompt_tokens_details"], json!({"cached_tokens": 30, "cache_write_tokens": 0}));
}

#[test]
fn usage_comes_last_where_it_is_wanted() {
    use crate::{ports::Usage, wire::neutral::Delta};
    for wanted in [true, false] {
        let mut writer = openai::StreamWriter::new(origin(), wanted);
        let mut chunks = Vec::new();
        let text = Delta::Text { choice: 0, text: "x".to_owned() };
        let usage = Usage { prompt_tokens: 3, completion_tokens: 4, ..Usage::default() };
        for delta in [text, Delta::Usage(usage), Delta::Done] {
            writer.write(delta, &mut chunks);
        }
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(&chunk.data).unwrap()).collect();
        let first = json!({
            "id": format!("chatcmpl-{}", origin().request_id), "object": "chat.completion.chunk",
            "created": 1_764_000_000, "model": "catalogue-name",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "x"}, "logprobs": null, "finish_reason": null}],
        });
        if wanted {
            assert_eq!(chunks.len(), 2);
            assert_eq!(chunks[0].get("usage"), Some(&Value::Null));
            assert_eq!(chunks[1]["choices"], json!([]));
            assert_eq!(chunks[1]["usage"], json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}));
        } else {
            assert_eq!(chunks, [first]);
        }
    }
}

#[test]
fn a_call_that_the_bound_cut_is_no_call() {
    let body = |reason: &str| {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":"}});
        let message = json!({"content": "x", "tool_calls": [call]});
        json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]}).to_string()
    };
    let answer = openai::read_answer(body("length").as_bytes()).unwrap();
    assert_eq!(answer.choices[0].parts.len(), 1);
    assert!(openai::read_answer(body("tool_calls").as_bytes()).is_err());
}
