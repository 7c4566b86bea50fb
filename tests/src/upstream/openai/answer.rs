//! What OpenAI answers to a chat request, in one piece or as a stream.

use serde_json::{Value, json};

use crate::upstream::{
    friendly::Whole,
    turn::{Reply, Said, Stop, ToolCall, Turn, Usage},
};

/// The last event of a stream.
pub(in crate::upstream) const DONE: &str = "data: [DONE]\n\n";

/// A chunk of text.
pub(in crate::upstream) fn text_chunk(model: &str, text: &str) -> Value {
    delta(model, &json!({"content": text}))
}

/// The chunk that tells why the answer ends.
pub(in crate::upstream) fn finish_chunk(model: &str, reason: &str) -> Value {
    chunk(model, &json!([{"index": 0, "delta": {}, "finish_reason": reason}]))
}

/// What is answered to `turn`; `usage` is whether a stream tells the tokens.
pub(super) fn answer(turn: &Turn, usage: bool) -> Whole {
    let reply = turn.reply();
    if turn.streams { Whole::Stream(stream(&reply, usage)) } else { Whole::Unary(completion(&reply)) }
}

fn completion(reply: &Reply) -> Value {
    let message = match &reply.said {
        Said::Text(_) => json!({"role": "assistant", "content": reply.said.text(), "refusal": null}),
        Said::Calls(calls) => {
            let calls: Vec<Value> = calls.iter().enumerate().map(|(index, call)| whole_call(index, call)).collect();
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls})
        }
    };
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(&reply.stop)});
    json!({
        "id": "chatcmpl-friendly", "object": "chat.completion", "created": 1_700_000_000, "model": reply.model,
        "choices": [choice], "usage": usage_of(&reply.usage),
    })
}

fn stream(reply: &Reply, usage: bool) -> String {
    let model = &reply.model;
    let mut chunks = vec![delta(model, &json!({"role": "assistant", "content": ""}))];
    match &reply.said {
        Said::Text(tokens) => chunks.extend(tokens.iter().map(|token| text_chunk(model, token))),
        Said::Calls(calls) => {
            for (index, call) in calls.iter().enumerate() {
                // The first names the call, the others bring its arguments piece by piece.
                let mut first = whole_call(index, call);
                first["index"] = index.into();
                first["function"]["arguments"] = "".into();
                chunks.push(delta(model, &json!({"tool_calls": [first]})));
                chunks.extend(call.argument_parts().map(|part| {
                    delta(model, &json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
                }));
            }
        }
    }
    chunks.push(finish_chunk(model, finish_reason(&reply.stop)));
    if usage {
        let mut last = chunk(model, &json!([]));
        last["usage"] = usage_of(&reply.usage);
        chunks.push(last);
    }
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).chain([DONE.to_owned()]).collect()
}

fn whole_call(index: usize, call: &ToolCall) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": format!("call_friendly{index}"), "type": "function", "function": function})
}

fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Calls => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

fn usage_of(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    })
}

fn delta(model: &str, delta: &Value) -> Value {
    chunk(model, &json!([{"index": 0, "delta": delta, "finish_reason": null}]))
}

fn chunk(model: &str, choices: &Value) -> Value {
    json!({
        "id": "chatcmpl-friendly", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
        "choices": choices,
    })
}
