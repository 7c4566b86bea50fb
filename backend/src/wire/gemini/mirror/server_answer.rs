//! Writes answers and streams as a server does.

use serde_json::{Map, Value, json};

use crate::{
    ports::Usage,
    wire::neutral::{Answer, AssistantPart, Delta, Stop, ToolCall},
};

/// The body of an answer. What the API has no words for is said in the nearest.
pub(crate) fn write_answer(answer: &Answer) -> Vec<u8> {
    let candidates = answer.choices.iter().enumerate().map(|(index, choice)| {
        let parts: Vec<Value> = choice.parts.iter().map(part).collect();
        let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": index });
        if let Some(stop) = &choice.stop {
            candidate["finishReason"] = reason(stop).into();
        }
        if let Some(logprobs) = &choice.logprobs {
            candidate["logprobsResult"] = logprobs_result(logprobs);
        }
        candidate
    });
    let mut body = json!({ "candidates": candidates.collect::<Vec<_>>() });
    head(&mut body, answer.id.as_deref(), answer.model.as_deref());
    if let Some(usage) = &answer.usage {
        body["usageMetadata"] = usage_metadata(usage);
    }
    body.to_string().into_bytes()
}

/// The body of a stream: an event for every piece, but that a call comes with its arguments in one. `line_end` as the
/// server writes it: Google's writes CR LF.
pub(crate) fn write_stream(deltas: &[Delta], line_end: &str) -> String {
    let mut body = String::new();
    let mut known = (None, None);
    let mut open: Option<(u32, ToolCall)> = None;
    for delta in deltas {
        let candidate = |choice: u32, part: Value| json!({ "candidates": [{ "content": { "parts": [part], "role": "model" }, "index": choice }] });
        let mut event = match delta.clone() {
            Delta::Begin { id, model } => {
                known = (id, model);
                json!({})
            }
            Delta::Text { choice, text } | Delta::Refusal { choice, text } => {
                candidate(choice, json!({ "text": text }))
            }
            Delta::Reasoning { choice, text } => candidate(choice, json!({ "text": text, "thought": true })),
            Delta::ReasoningSignature { choice, signature } => {
                candidate(choice, json!({ "text": "", "thought": true, "thoughtSignature": signature }))
            }
            Delta::RedactedReasoning { .. } => panic!("the API has none"),
            Delta::ToolCall { choice, id, name, signature, .. } => {
                open = Some((choice, ToolCall { id, name, arguments: Value::Null, signature }));
                continue;
            }
            Delta::Arguments { json, .. } => {
                let (choice, mut call) = open.take().expect("a call before its arguments");
                call.arguments = serde_json::from_str(&json).expect("whole arguments");
                candidate(choice, part(&AssistantPart::ToolCall(call)))
            }
            Delta::Logprobs { choice, logprobs } => {
                json!({ "candidates": [{ "index": choice, "logprobsResult": logprobs_result(&logprobs) }] })
            }
            Delta::Stop { choice, stop } => {
                json!({ "candidates": [{ "index": choice, "finishReason": reason(&stop) }] })
            }
            Delta::Usage(usage) => json!({ "usageMetadata": usage_metadata(&usage) }),
            Delta::Done => continue,
        };
        head(&mut event, known.0.as_deref(), known.1.as_deref());
        body.extend(["data: ", &event.to_string(), line_end, line_end]);
    }
    body
}

fn head(body: &mut Value, id: Option<&str>, model: Option<&str>) {
    for (name, value) in [("responseId", id), ("modelVersion", model)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
}

fn part(part: &AssistantPart) -> Value {
    let mut json = match part {
        AssistantPart::Text(text) | AssistantPart::Refusal(text) => json!({ "text": text }),
        AssistantPart::Reasoning { text, .. } => json!({ "text": text, "thought": true }),
        AssistantPart::RedactedReasoning(_) => panic!("the API has none"),
        AssistantPart::ToolCall(ToolCall { id, name, arguments, .. }) => {
            json!({ "functionCall": { "id": id, "name": name, "args": arguments } })
        }
    };
    if let AssistantPart::Reasoning { signature: Some(signature), .. }
    | AssistantPart::ToolCall(ToolCall { signature: Some(signature), .. }) = part
    {
        json["thoughtSignature"] = signature.as_str().into();
    }
    json
}

fn reason(stop: &Stop) -> &str {
    match stop {
        Stop::End | Stop::ToolCalls | Stop::Sequence(_) | Stop::Pause => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filtered => "SAFETY",
        Stop::Other(word) => word,
    }
}

fn usage_metadata(usage: &Usage) -> Value {
    let thoughts = usage.reasoning_tokens.unwrap_or_default();
    let mut json = json!({
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": usage.completion_tokens - thoughts,
        "totalTokenCount": usage.prompt_tokens + usage.completion_tokens,
    });
    for (name, count) in
        [("cachedContentTokenCount", usage.cached_tokens), ("thoughtsTokenCount", usage.reasoning_tokens)]
    {
        if let Some(count) = count {
            json[name] = count.into();
        }
    }
    json
}

fn logprobs_result(logprobs: &Value) -> Value {
    let token = |token: &Value| json!({ "token": token["token"], "logProbability": token["logprob"] });
    let tokens = |list: &Value| list.as_array().into_iter().flatten().map(token).collect::<Vec<_>>();
    let places = logprobs["content"].as_array().into_iter().flatten();
    let tops: Vec<Value> = places.map(|place| json!({ "candidates": tokens(&place["top_logprobs"]) })).collect();
    let mut result = Map::new();
    result.insert("topCandidates".to_owned(), tops.into());
    result.insert("chosenCandidates".to_owned(), tokens(&logprobs["content"]).into());
    result.into()
}
