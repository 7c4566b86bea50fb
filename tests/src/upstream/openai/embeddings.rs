//! OpenAI's embeddings.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::upstream::{
    SCENARIO_FIELD,
    friendly::Whole,
    refused::{Refused, unknown_member},
    vector,
};

/// Most inputs of one request.
const MOST_INPUTS: usize = 2048;

/// The vectors that `body` asks for. `deployment` is the model where the path names it.
pub(in crate::upstream) fn embeddings(body: &Map<String, Value>, deployment: Option<&str>) -> Result<Whole, Refused> {
    let known = ["input", "model", "dimensions", "encoding_format", "user"];
    if let Some(name) = unknown_member(body, &known).filter(|name| *name != SCENARIO_FIELD) {
        return Err(Refused::field(name, format!("Unrecognized request argument supplied: {name}")));
    }
    let named = body.get("model").and_then(Value::as_str).or(deployment);
    let Some(model) = named else { return Err(Refused::whole("you must provide a model parameter")) };
    let dimensions = match body.get("dimensions") {
        None => vector::DIMENSIONS,
        Some(dimensions) => dimensions
            .as_u64()
            .and_then(|dimensions| usize::try_from(dimensions).ok())
            .filter(|dimensions| (1..=3072).contains(dimensions))
            .ok_or_else(|| Refused::field("dimensions", "Invalid value for 'dimensions'."))?,
    };
    let in_base64 = match body.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Refused::field("encoding_format", "Invalid value for 'encoding_format'.")),
    };
    let texts = inputs(body.get("input").unwrap_or(&Value::Null))
        .ok_or_else(|| Refused::field("input", "'$.input' is invalid. Please check the API reference."))?;
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector::of(text, dimensions);
            let embedding = if in_base64 {
                // Little-endian 32-bit floats, as the SDKs read them.
                STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).into()
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = texts.iter().map(|text| vector::tokens(text)).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Whole::Unary(json!({"object": "list", "data": data, "model": model, "usage": usage})))
}

/// The texts of a string, of strings, of one list of tokens or of several.
fn inputs(input: &Value) -> Option<Vec<String>> {
    let text = |input: &Value| match input {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(tokens) if !tokens.is_empty() && tokens.iter().all(Value::is_u64) => Some(
            // Tokens stand for a text that nobody knows; each is a word of it.
            tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        ),
        _ => None,
    };
    if let Some(one) = text(input) {
        return Some(vec![one]);
    }
    let several = input.as_array().filter(|inputs| (1..=MOST_INPUTS).contains(&inputs.len()))?;
    several.iter().map(text).collect()
}
