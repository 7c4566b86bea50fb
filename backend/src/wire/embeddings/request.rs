//! A client's request, said in Gemini's words.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    ports::{AnswerOptions, Inexpressible},
    wire::strict::{foreign, refuse},
};

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Embed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Embed<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<i32>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

/// A client's request in Gemini's shape (`batchEmbedContents`), and how the answer is to be written.
///
/// `conversation_id` is this gateway's own. `user` is left out: it identifies the client's own user, and no embedding depends on it.
pub(crate) fn to_gemini(body: &[u8], model: &str) -> Result<(Vec<u8>, AnswerOptions), Inexpressible> {
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| refuse("input", "The body must be a JSON object."))?;
    let mut texts = Vec::new();
    let mut output_dimensionality = None;
    let mut base64 = false;
    for (name, value) in &members {
        match (name.as_str(), value) {
            ("model" | "user" | "conversation_id", _) | ("dimensions" | "encoding_format", Value::Null) => {}
            ("input", input) => texts = read_input(input)?,
            ("dimensions", dimensions) => {
                let number = dimensions.as_i64().and_then(|number| i32::try_from(number).ok()).filter(|n| *n > 0);
                let advice = "`dimensions` must be a whole number from 1 on.";
                output_dimensionality = Some(number.ok_or_else(|| refuse("dimensions", advice))?);
            }
            ("encoding_format", Value::String(format)) if format == "float" => {}
            ("encoding_format", Value::String(format)) if format == "base64" => base64 = true,
            ("encoding_format", _) => {
                return Err(refuse("encoding_format", "`encoding_format` must be `float` or `base64`."));
            }
            _ => return Err(foreign(name)),
        }
    }
    if texts.is_empty() {
        return Err(refuse("input", "`input` must be a text, or a list with at least one."));
    }
    let model = if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") };
    let embed = |text| Embed { model: &model, content: Content { parts: [Part { text }] }, output_dimensionality };
    let inputs = texts.len();
    let batch = Batch { requests: texts.into_iter().map(embed).collect() };
    let json = serde_json::to_vec(&batch)
        .map_err(|_| refuse("input", "The request cannot be written as JSON; check it for odd numbers."))?;
    Ok((json, AnswerOptions { base64, inputs }))
}

fn read_input(input: &Value) -> Result<Vec<&str>, Inexpressible> {
    match input {
        Value::String(text) => Ok(vec![text]),
        Value::Array(inputs) => inputs
            .iter()
            .enumerate()
            .map(|(place, input)| {
                let advice = "This provider embeds texts alone, not tokens; send the text.";
                input.as_str().ok_or_else(|| refuse(format!("input[{place}]"), advice))
            })
            .collect(),
        _ => Err(refuse("input", "`input` must be a text, or a list of texts.")),
    }
}
