//! Answers of a provider that works, in OpenAI's wire format.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer_of;
use crate::http_peer::AnswerBody;

pub(super) const EVENT_STREAM: &str = "text/event-stream";
pub(super) const DONE: &str = "data: [DONE]\n\n";

const TEXT: [&str; 4] = ["Hello", " from", " the", " upstream"];

/// An event of a stream.
pub(super) fn event(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

/// A chunk of text.
pub(super) fn text_chunk(model: &str, text: &str) -> Value {
    chunk(model, &json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]))
}

/// What a provider that works answers to `body`.
pub(super) fn answer(body: &Value) -> Response<AnswerBody> {
    let model = body["model"].as_str().unwrap_or("upstream");
    let usage = json!({"prompt_tokens": 3, "completion_tokens": TEXT.len(), "total_tokens": 3 + TEXT.len()});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": TEXT.concat()});
        let completion = json!({
            "id": "chatcmpl-friendly", "object": "chat.completion", "created": 1_700_000_000, "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
        });
        return answer_of(StatusCode::OK, "application/json", completion.to_string());
    }
    let role = chunk(model, &json!([{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]));
    let mut events = event(&role);
    for text in TEXT {
        events.push_str(&event(&text_chunk(model, text)));
    }
    events.push_str(&event(&chunk(model, &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))));
    if body["stream_options"]["include_usage"] == true {
        let mut last = chunk(model, &json!([]));
        last["usage"] = usage;
        events.push_str(&event(&last));
    }
    events.push_str(DONE);
    answer_of(StatusCode::OK, EVENT_STREAM, events)
}

/// An error as OpenAI words it.
pub(super) fn error(status: StatusCode, message: &str) -> Response<AnswerBody> {
    answer_of(status, "application/json", error_body(message).to_string())
}

pub(super) fn error_body(message: &str) -> Value {
    json!({"error": {"message": message, "type": "upstream_of_the_tests", "param": null, "code": null}})
}

fn chunk(model: &str, choices: &Value) -> Value {
    json!({
        "id": "chatcmpl-friendly", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
        "choices": choices,
    })
}
