//! The demo's embeddings: unit vectors of the words of a text, by feature hashing (Weinberger et al. 2009,
//! <https://arxiv.org/abs/0902.2206>). The same text has the same vector, and texts that share words are near each
//! other; there is no more meaning in them than that.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ports::{Prepared, ProviderError, UpstreamDetail};

/// Dimensions where the request does not say it.
const DIMENSIONS: usize = 256;
/// Most dimensions.
const MOST_DIMENSIONS: usize = 1_536;
/// Most inputs, as with OpenAI (<https://platform.openai.com/docs/api-reference/embeddings/create>).
const MOST_INPUTS: usize = 2_048;
/// Places of a vector that a word counts for.
const PLACES: u64 = 4;

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    input: Value,
    #[serde(default)]
    dimensions: Option<usize>,
    #[serde(default)]
    encoding_format: Option<String>,
}

/// The answer in OpenAI's shape.
pub(super) fn answer(prepared: &Prepared) -> Result<Bytes, ProviderError> {
    let request: Request = serde_json::from_slice(&prepared.body)
        .map_err(|_| rejected("dimensions", "`dimensions` must be a whole number, `encoding_format` a text"))?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(rejected("dimensions", "the demo has 1 to 1536 dimensions"));
    }
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(rejected("encoding_format", "use `float` or `base64`")),
    };
    let inputs =
        inputs(&request.input).ok_or_else(|| rejected("input", "give a text, or a list of texts or tokens"))?;
    if inputs.len() > MOST_INPUTS {
        return Err(rejected("input", "give at most 2048 inputs"));
    }
    let tokens: usize = inputs.iter().map(Vec::len).sum();
    let data = inputs.iter().enumerate().map(|(index, words)| {
        let vector = vector(words, dimensions);
        let embedding = if base64 { json!(in_base64(&vector)) } else { json!(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let answer = json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": prepared.upstream_model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    Ok(answer.to_string().into())
}

fn rejected(param: &str, message: &str) -> ProviderError {
    let detail = UpstreamDetail { param: Some(param.to_owned()), ..UpstreamDetail::default() };
    ProviderError::Rejected { status: 400, message: Some(message.to_owned()), detail }
}

/// The words of each input: one text or several, or the numbers of tokens in their place.
fn inputs(input: &Value) -> Option<Vec<Vec<String>>> {
    let of_text = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let of_tokens = |tokens: &[Value]| tokens.iter().map(|token| token.as_u64().map(|id| id.to_string())).collect();
    match input {
        Value::String(text) => Some(vec![of_text(text)]),
        Value::Array(list) if list.first().is_some_and(Value::is_number) => Some(vec![of_tokens(list)?]),
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .map(|one| match one {
                Value::String(text) => Some(of_text(text)),
                Value::Array(tokens) => of_tokens(tokens),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn vector(words: &[String], dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0_f32; dimensions];
    for word in words {
        let hash = fnv1a(word.as_bytes());
        for place in 0..PLACES {
            let mixed = splitmix(hash.wrapping_add(place));
            // The remainder is less than a usize.
            let index = usize::try_from((mixed >> 1) % dimensions as u64).unwrap_or_default();
            vector[index] += if mixed & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    if length > 0.0 {
        for part in &mut vector {
            *part /= length;
        }
    } else if let Some(first) = vector.first_mut() {
        // No words, or words that cancel each other out.
        *first = 1.0;
    }
    vector
}

/// Little-endian 32-bit floats, as OpenAI has them.
fn in_base64(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|part| part.to_le_bytes()).collect::<Vec<u8>>())
}

/// FNV-1a of 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `SplitMix64`'s step (<https://prng.di.unimi.it/splitmix64.c>).
fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use goblin_shared::{api::Api, request_id::RequestId};

    use super::*;
    use crate::ports::AnswerOptions;

    fn asked(body: &Value) -> Result<Value, ProviderError> {
        let prepared = Prepared {
            api: Api::Embeddings,
            body: body.to_string().into(),
            upstream_model: "goblin-demo-embedding".to_owned(),
            include_usage: true,
            headers: Vec::new(),
            answer_options: AnswerOptions::default(),
            request_id: RequestId::new(0, &[0; 10]),
        };
        answer(&prepared).map(|body| serde_json::from_slice(&body).unwrap())
    }

    fn vectors(body: &Value) -> Vec<Vec<f64>> {
        let answer = asked(body).unwrap();
        let vector = |one: &Value| one["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        answer["data"].as_array().unwrap().iter().map(vector).collect()
    }

    fn product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_are_units_that_depend_on_the_text_alone() {
        let texts = ["the goblin sleeps", "the goblin wakes", "quarterly revenue", "the goblin sleeps", ""];
        let all = vectors(&json!({ "input": texts }));
        assert_eq!(all.len(), 5);
        for vector in &all {
            assert_eq!(vector.len(), DIMENSIONS);
            assert!((product(vector, vector) - 1.0).abs() < 1e-5);
        }
        assert_eq!(all[0], all[3]);
        assert!(product(&all[0], &all[1]) > product(&all[0], &all[2]) + 0.2);
        assert_eq!(vectors(&json!({ "input": texts[0] })), [all[0].clone()]);
    }

    #[test]
    fn the_form_is_as_asked_for() {
        let input = json!({ "input": "goblin", "dimensions": 7 });
        let [numbers] = vectors(&input).try_into().unwrap();
        assert_eq!(numbers.len(), 7);
        let answer = asked(&json!({ "input": "goblin", "dimensions": 7, "encoding_format": "base64" })).unwrap();
        let bytes = STANDARD.decode(answer["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let decoded: Vec<f64> =
            bytes.chunks(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect();
        assert!(decoded.iter().zip(&numbers).all(|(a, b)| (a - b).abs() < 1e-6), "{decoded:?} {numbers:?}");
        assert_eq!(answer["usage"], json!({ "prompt_tokens": 1, "total_tokens": 1 }));
    }

    #[test]
    fn tokens_are_taken_too_and_nonsense_is_refused() {
        assert_eq!(vectors(&json!({ "input": [1, 2, 3] })).len(), 1);
        assert_eq!(vectors(&json!({ "input": [[1, 2], [3]] })).len(), 2);
        for (body, at) in [
            (json!({ "input": [] }), "input"),
            (json!({ "input": [{}] }), "input"),
            (json!({ "input": vec!["x"; 2049] }), "input"),
            (json!({ "input": "x", "dimensions": 0 }), "dimensions"),
            (json!({ "input": "x", "dimensions": 1537 }), "dimensions"),
            (json!({ "input": "x", "encoding_format": "hex" }), "encoding_format"),
        ] {
            let error = asked(&body).unwrap_err();
            let ProviderError::Rejected { status: 400, detail, .. } = error else { panic!("{error:?}") };
            assert_eq!(detail.param.as_deref(), Some(at));
        }
    }
}
