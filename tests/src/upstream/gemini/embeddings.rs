//! Gemini's embeddings, one or several at a time.

use serde_json::{Map, Value, json};

use super::only;
use crate::upstream::{SCENARIO_FIELD, friendly::Whole, refused::Refused, vector};

/// Most requests of a batch.
const MOST_REQUESTS: usize = 100;

const MEMBERS: [&str; 6] = ["model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"];

/// The vector that `body` asks of `model`.
pub(in crate::upstream) fn embed(body: &Map<String, Value>, model: &str) -> Result<Whole, Refused> {
    let mut body = body.clone();
    body.remove(SCENARIO_FIELD);
    let (vector, tokens) = embedding(&body.into(), model, "")?;
    Ok(Whole::Unary(json!({"embedding": vector, "usageMetadata": {"promptTokenCount": tokens}})))
}

/// The vectors that `body` asks of `model`.
pub(in crate::upstream) fn embed_batch(body: &Map<String, Value>, model: &str) -> Result<Whole, Refused> {
    only(&body.clone().into(), &["requests", "model", SCENARIO_FIELD], "")?;
    let requests = body.get("requests").and_then(Value::as_array);
    let requests = requests.filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| Refused::field("requests", "* BatchEmbedContentsRequest.requests: empty"))?;
    if requests.len() > MOST_REQUESTS {
        let message = "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch";
        return Err(Refused::field("requests", message));
    }
    let (mut vectors, mut all) = (Vec::new(), 0);
    for (index, request) in requests.iter().enumerate() {
        let at = format!("requests[{index}]");
        if request["model"] != format!("models/{model}") {
            let message = format!("* {at}.model: model must match the model in the parent's path");
            return Err(Refused::field(format!("{at}.model"), message));
        }
        let (vector, tokens) = embedding(request, model, &at)?;
        vectors.push(vector);
        all += tokens;
    }
    Ok(Whole::Unary(json!({"embeddings": vectors, "usageMetadata": {"promptTokenCount": all}})))
}

fn embedding(request: &Value, model: &str, at: &str) -> Result<(Value, usize), Refused> {
    only(request, &MEMBERS, at)?;
    if request.get("model").is_some_and(|named| *named != format!("models/{model}")) {
        return Err(Refused::field("model", "* EmbedContentRequest.model: unexpected model name format"));
    }
    only(&request["content"], &["parts", "role"], &format!("{at}.content"))?;
    let parts = request["content"]["parts"].as_array().filter(|parts| !parts.is_empty());
    let text: Option<String> = parts.and_then(|parts| parts.iter().map(|part| part["text"].as_str()).collect());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(Refused::field(format!("{at}.content"), "* EmbedContentRequest.content: content is empty"));
    };
    let dimensions = match request.get("outputDimensionality") {
        None => vector::DIMENSIONS,
        Some(dimensions) => dimensions
            .as_u64()
            .and_then(|dimensions| usize::try_from(dimensions).ok())
            .filter(|dimensions| (1..=3072).contains(dimensions))
            .ok_or_else(|| Refused::field(format!("{at}.output_dimensionality"), "Invalid output dimensionality"))?,
    };
    Ok((json!({"values": vector::of(&text, dimensions)}), vector::tokens(&text)))
}
