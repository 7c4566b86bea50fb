//! What Anthropic answers, in one piece or as a stream.

use serde_json::{Value, json};

use crate::upstream::{
    friendly::Whole,
    turn::{Reply, SIGNATURE, Said, Stop, ToolCall, Turn, Usage},
};

/// The last event of a stream.
pub(in crate::upstream) const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// An event, whose name is the `type` of its data.
pub(in crate::upstream) fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// The events that say `text`; before the `first`, the message and its block begin.
pub(in crate::upstream) fn text_events(text: &str, first: bool) -> String {
    let mut events = String::new();
    if first {
        let usage = Usage { input: 3, cached: 0, cache_written: 0, output: 4, reasoning: 0 };
        events.push_str(&event(&start("upstream", &usage)));
        events.push_str(&event(&block_start(0, &json!({"type": "text", "text": ""}))));
    }
    events + &event(&delta(0, &json!({"type": "text_delta", "text": text})))
}

/// The events between the last text and the last word.
pub(in crate::upstream) fn finish_events() -> String {
    let usage = Usage { input: 3, cached: 0, cache_written: 0, output: 4, reasoning: 0 };
    event(&block_stop(0)) + &event(&message_delta(&Stop::End, &usage))
}

/// What is answered to `turn`.
pub(in crate::upstream) fn answer(turn: &Turn) -> Whole {
    let reply = turn.reply();
    if turn.streams { Whole::Stream(stream(&reply)) } else { Whole::Unary(message(&reply)) }
}

fn message(reply: &Reply) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = reply.thought {
        content.push(json!({"type": "thinking", "thinking": thought, "signature": SIGNATURE}));
    }
    match &reply.said {
        Said::Text(_) if reply.stop == Stop::Filtered => {}
        Said::Text(_) => content.push(json!({"type": "text", "text": reply.said.text()})),
        Said::Calls(calls) => content.extend(calls.iter().enumerate().map(|(index, call)| tool_use(index, call))),
    }
    let (reason, sequence) = stop_reason(&reply.stop);
    let mut message = begun(&reply.model, &reply.usage);
    message["content"] = content.into();
    message["stop_reason"] = reason.into();
    message["stop_sequence"] = sequence;
    message["usage"]["output_tokens"] = reply.usage.output.into();
    message
}

fn stream(reply: &Reply) -> String {
    let mut events = vec![start(&reply.model, &reply.usage), json!({"type": "ping"})];
    let mut index = 0;
    let mut block = |start: &Value, deltas: Vec<Value>| {
        events.push(block_start(index, start));
        events.extend(deltas.iter().map(|one| delta(index, one)));
        events.push(block_stop(index));
        index += 1;
    };
    if let Some(thought) = reply.thought {
        let thought = json!({"type": "thinking_delta", "thinking": thought});
        let signature = json!({"type": "signature_delta", "signature": SIGNATURE});
        block(&json!({"type": "thinking", "thinking": "", "signature": ""}), vec![thought, signature]);
    }
    match &reply.said {
        Said::Text(_) if reply.stop == Stop::Filtered => {}
        Said::Text(tokens) => {
            let deltas = tokens.iter().map(|token| json!({"type": "text_delta", "text": token})).collect();
            block(&json!({"type": "text", "text": ""}), deltas);
        }
        Said::Calls(calls) => {
            for (index, call) in calls.iter().enumerate() {
                let mut start = tool_use(index, call);
                start["input"] = json!({});
                let parts = call.argument_parts();
                // The first piece of the real ones is empty.
                let parts = [String::new()].into_iter().chain(parts);
                let deltas = parts.map(|part| json!({"type": "input_json_delta", "partial_json": part})).collect();
                block(&start, deltas);
            }
        }
    }
    events.push(message_delta(&reply.stop, &reply.usage));
    events.iter().map(event).chain([MESSAGE_STOP.to_owned()]).collect()
}

fn tool_use(index: usize, call: &ToolCall) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_friendly{index}"), "name": call.name, "input": call.arguments})
}

/// A message of which nothing was said yet. What it read is known by then, what it writes is not.
fn begun(model: &str, usage: &Usage) -> Value {
    json!({
        "id": "msg_friendly", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {
            // Without what a cache was read or written for: the three add up.
            "input_tokens": usage.input - usage.cached - usage.cache_written,
            "cache_read_input_tokens": usage.cached, "cache_creation_input_tokens": usage.cache_written,
            "output_tokens": 1, "service_tier": "standard",
        },
    })
}

fn start(model: &str, usage: &Usage) -> Value {
    json!({"type": "message_start", "message": begun(model, usage)})
}

fn block_start(index: usize, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn block_stop(index: usize) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn message_delta(stop: &Stop, usage: &Usage) -> Value {
    let (reason, sequence) = stop_reason(stop);
    json!({
        "type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence},
        "usage": {"output_tokens": usage.output},
    })
}

fn stop_reason(stop: &Stop) -> (&'static str, Value) {
    match stop {
        Stop::End => ("end_turn", Value::Null),
        Stop::Sequence(sequence) => ("stop_sequence", sequence.as_str().into()),
        Stop::Length => ("max_tokens", Value::Null),
        Stop::Calls => ("tool_use", Value::Null),
        Stop::Filtered => ("refusal", Value::Null),
    }
}
