//! Bodies that are taken as they are, one of each operation that takes one.

use serde_json::{Value, json};

/// A conversation in which the model may look something up, streamed.
pub(super) fn chat_completion() -> Value {
    json!({
        "model": "fast",
        "messages": [
            { "role": "system", "content": "Answer in one sentence." },
            { "role": "user", "content": "Do I need an umbrella in Cologne?" },
        ],
        "tools": [{
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells the weather of a city.",
                "parameters": {
                    "type": "object",
                    "properties": { "city": { "type": "string" } },
                    "required": ["city"],
                },
            },
        }],
        "max_completion_tokens": 500,
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}

/// A question about an image.
pub(super) fn message() -> Value {
    json!({
        "model": "fast",
        "max_tokens": 500,
        "system": "Answer in one sentence.",
        "messages": [{
            "role": "user",
            "content": [
                { "type": "image", "source": { "type": "url", "url": "https://example.com/cathedral.png" } },
                { "type": "text", "text": "Which building is this?" },
            ],
        }],
        "metadata": { "user_id": "u-4711" },
    })
}

/// Two texts.
pub(super) fn embeddings() -> Value {
    json!({ "model": "embed", "input": ["Grüße aus Köln", "Greetings from Cologne"] })
}

/// A conversation with a purpose.
pub(super) fn create_conversation() -> Value {
    json!({ "title": "Weather", "instructions": "Answer in one sentence." })
}

/// Another title.
pub(super) fn rename_conversation() -> Value {
    json!({ "title": "Weather in Cologne" })
}
