//! What Gemini answers, in one piece or as a stream.

use serde_json::{Value, json};

use crate::upstream::{
    friendly::Whole,
    turn::{Reply, SIGNATURE, Said, Stop, ToolCall, Turn, Usage},
};

/// A chunk of text.
pub(in crate::upstream) fn text_chunk(model: &str, text: &str) -> Value {
    response(model, &json!([{"text": text}]), None)
}

/// The chunk that tells why the answer ends.
pub(in crate::upstream) fn finish_chunk(model: &str) -> Value {
    let usage = Usage { input: 3, cached: 0, cache_written: 0, output: 4, reasoning: 0 };
    with_usage(response(model, &json!([{"text": ""}]), Some("STOP")), &usage)
}

/// What is answered to `turn`.
pub(in crate::upstream) fn answer(turn: &Turn) -> Whole {
    let reply = turn.reply();
    let parts = parts(&reply);
    let reason = finish_reason(&reply.stop);
    if !turn.streams {
        let mut whole = response(&reply.model, &parts.into(), Some(reason));
        if reply.stop == Stop::Filtered {
            // Nothing was said.
            whole["candidates"][0].as_object_mut().map(|candidate| candidate.remove("content"));
        }
        return Whole::Unary(with_usage(whole, &reply.usage));
    }
    let mut chunks: Vec<Value> = Vec::new();
    match &reply.said {
        Said::Text(tokens) => {
            let thoughts = parts.into_iter().filter(|part| part["thought"] == true);
            chunks.extend(thoughts.map(|part| response(&reply.model, &json!([part]), None)));
            chunks.extend(tokens.iter().map(|token| text_chunk(&reply.model, token)));
        }
        // Whole: Gemini does not break calls up.
        Said::Calls(_) => chunks.push(response(&reply.model, &parts.into(), None)),
    }
    let last = with_usage(response(&reply.model, &json!([{"text": ""}]), Some(reason)), &reply.usage);
    let events = chunks.iter().chain([&last]).map(|chunk| format!("data: {chunk}\r\n\r\n"));
    Whole::Stream(events.collect())
}

fn parts(reply: &Reply) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = reply.thought {
        parts.push(json!({"text": thought, "thought": true}));
    }
    match &reply.said {
        Said::Text(_) => parts.push(json!({"text": reply.said.text()})),
        Said::Calls(calls) => {
            let generation_3 = super::contents::wants_signatures(&reply.model);
            parts.extend(calls.iter().enumerate().map(|(index, call)| part_of_call(index, call, generation_3)));
        }
    }
    parts
}

/// From generation 3 on calls have ids, and the first carries a signature.
fn part_of_call(index: usize, call: &ToolCall, generation_3: bool) -> Value {
    let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
    if generation_3 {
        part["functionCall"]["id"] = format!("friendly{index}").into();
        if index == 0 {
            part["thoughtSignature"] = SIGNATURE.into();
        }
    }
    part
}

fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        // It waits for tools without saying so.
        Stop::End | Stop::Sequence(_) | Stop::Calls => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filtered => "SAFETY",
    }
}

fn response(model: &str, parts: &Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = reason.into();
    }
    json!({"candidates": [candidate], "modelVersion": model, "responseId": "friendly"})
}

fn with_usage(mut response: Value, usage: &Usage) -> Value {
    // The answer's tokens are told without those of the thoughts.
    let mut told = json!({
        "promptTokenCount": usage.input, "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    });
    if usage.cached > 0 {
        told["cachedContentTokenCount"] = usage.cached.into();
    }
    if usage.reasoning > 0 {
        told["thoughtsTokenCount"] = usage.reasoning.into();
    }
    response["usageMetadata"] = told;
    response
}
