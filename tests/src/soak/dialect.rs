//! The words of a soak: what is asked, what its provider answers, and how a client knows the end.

use bytes::Bytes;
use serde_json::{Value, json};

/// An API, spoken alike by the gateway's clients and by its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's embeddings, which are never streamed.
    Embeddings,
}

/// What a provider says when nothing else is wanted of it.
const TEXT: &str = "Hello from the upstream of the soak";

impl Dialect {
    const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Embeddings];

    /// Its path, here and at its provider.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The dialect of a path.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.path() == path)
    }

    /// A request that says `prompt`.
    pub(super) fn request(self, model: &str, prompt: &str, stream: bool) -> Value {
        match self {
            Self::Chat | Self::Messages => {
                let messages = json!([{"role": "user", "content": prompt}]);
                json!({"model": model, "max_tokens": 1_000, "stream": stream, "messages": messages})
            }
            Self::Embeddings => json!({"model": model, "input": prompt}),
        }
    }

    /// An answer in one piece.
    pub(super) fn whole(self) -> String {
        match self {
            Self::Chat => {
                let message = json!({"role": "assistant", "content": TEXT});
                json!({
                    "id": "chatcmpl-soak", "object": "chat.completion", "created": 1_700_000_000, "model": "soak",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
                })
            }
            Self::Messages => message(&json!([{"type": "text", "text": TEXT}]), &json!("end_turn")),
            Self::Embeddings => json!({
                "object": "list", "model": "soak", "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
            }),
        }
        .to_string()
    }

    /// An error of this status.
    pub(super) fn error(self, status: u16) -> String {
        let text = "as the soak wants it";
        match self {
            Self::Messages => {
                let kind = if status == 429 { "rate_limit_error" } else { "api_error" };
                json!({"type": "error", "error": {"type": kind, "message": text}})
            }
            Self::Chat | Self::Embeddings => {
                json!({"error": {"message": text, "type": "soak", "param": null, "code": null}})
            }
        }
        .to_string()
    }

    /// The events of a stream before the first text.
    pub(super) fn beginning(self) -> Bytes {
        if self != Self::Messages {
            return Bytes::new();
        }
        let start = json!({"type": "message_start", "message": message(&json!([]), &Value::Null)});
        let block = json!({"type": "text", "text": ""});
        let block = json!({"type": "content_block_start", "index": 0, "content_block": block});
        [named(&start), named(&block)].concat().into()
    }

    /// The event that says `text`.
    pub(super) fn token(self, text: &str) -> Bytes {
        if self == Self::Messages {
            let delta = json!({"type": "text_delta", "text": text});
            return named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
        }
        chunk(&json!({"content": text}), &Value::Null)
    }

    /// The events of a stream behind the last text, one by one.
    pub(super) fn endings(self) -> Vec<Bytes> {
        if self == Self::Messages {
            let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
            let last = json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}});
            let end = json!({"type": "message_stop"});
            return [json!({"type": "content_block_stop", "index": 0}), last, end].iter().map(named).collect();
        }
        vec![chunk(&json!({}), &json!("stop")), Bytes::from_static(b"data: [DONE]\n\n")]
    }

    /// Whether a stream that was read to its end has the end of a whole one, and whether an error is in it.
    pub(super) fn is_whole_and_failed(self, stream: &str) -> (bool, bool) {
        if self == Self::Messages {
            let is_whole = stream.lines().any(|line| line == "event: message_stop");
            return (is_whole, stream.lines().any(|line| line == "event: error"));
        }
        (stream.ends_with("data: [DONE]\n\n"), stream.contains("data: {\"error\""))
    }
}

fn message(content: &Value, reason: &Value) -> Value {
    json!({
        "id": "msg_soak", "type": "message", "role": "assistant", "model": "soak", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 7},
    })
}

/// An event of Anthropic, whose name is the `type` of its data.
fn named(data: &Value) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default()).into()
}

/// An event of OpenAI.
fn chunk(delta: &Value, finish: &Value) -> Bytes {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let chunk = json!({
        "id": "chatcmpl-soak", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "soak",
        "choices": choices,
    });
    format!("data: {chunk}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_know_the_end_that_providers_write() {
        for dialect in [Dialect::Chat, Dialect::Messages] {
            let begun = [dialect.beginning(), dialect.token("word")].concat();
            let all = [begun.clone(), dialect.endings().concat()].concat();
            let seen = |stream: &[u8]| dialect.is_whole_and_failed(std::str::from_utf8(stream).unwrap());
            assert_eq!((seen(&begun), seen(&all)), ((false, false), (true, false)), "{dialect:?}");
            assert_eq!(Dialect::of_path(dialect.path()), Some(dialect));
        }
        let failed = "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n";
        assert_eq!(Dialect::Messages.is_whole_and_failed(failed), (false, true));
        assert_eq!(Dialect::Chat.is_whole_and_failed("data: {\"error\":{}}\n\n"), (false, true));
    }
}
