use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{from_gemini, read_facts, to_gemini};
use crate::ports::{AnswerOptions, Usage};

fn request(body: &Value) -> Result<(Value, AnswerOptions), String> {
    to_gemini(body.to_string().as_bytes(), "gemini-embedding-001")
        .map(|(json, options)| (serde_json::from_slice(&json).unwrap(), options))
        .map_err(|error| error.param)
}

fn answer(body: &Value, base64: bool) -> (Value, Option<Usage>) {
    let inputs = body["embeddings"].as_array().map_or(0, Vec::len);
    let (json, usage) = from_gemini(body.to_string().as_bytes(), "gemini-embedding-001", base64, inputs).unwrap();
    (serde_json::from_slice(&json).unwrap(), usage)
}

#[test]
fn each_input_is_a_request() {
    let embed = |text: &str| {
        json!({
            "model": "models/gemini-embedding-001",
            "content": { "parts": [{ "text": text }] },
            "outputDimensionality": 3,
        })
    };
    let body = json!({ "model": "e", "input": ["a", ""], "dimensions": 3, "user": "u", "encoding_format": "base64", "conversation_id": "c" });
    assert_eq!(
        request(&body),
        Ok((json!({ "requests": [embed("a"), embed("")] }), AnswerOptions { base64: true, inputs: 2 }))
    );
    let body = json!({ "model": "e", "input": "a", "dimensions": null, "encoding_format": "float" });
    let (body, options) = request(&body).unwrap();
    assert_eq!(
        body["requests"][0],
        json!({
            "model": "models/gemini-embedding-001",
            "content": { "parts": [{ "text": "a" }] },
        })
    );
    assert_eq!(options, AnswerOptions { base64: false, inputs: 1 });
}

#[test]
fn what_has_no_words_is_refused_by_its_path() {
    for (body, path) in [
        (json!({ "input": [1, 2] }), "input[0]"),
        (json!({ "input": ["a", [1, 2]] }), "input[1]"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": 1 }), "input"),
        (json!({ "model": "e" }), "input"),
        (json!([]), "input"),
        (json!({ "input": "a", "dimensions": 0 }), "dimensions"),
        (json!({ "input": "a", "dimensions": 1.5 }), "dimensions"),
        (json!({ "input": "a", "encoding_format": "int8" }), "encoding_format"),
        (json!({ "input": "a", "task_type": "x" }), "task_type"),
    ] {
        assert_eq!(request(&body), Err(path.to_owned()), "{body}");
    }
}

#[test]
fn an_answer_tells_usage_only_where_it_is_counted() {
    let mut body = json!({ "embeddings": [{ "values": [0.013_168_523, -1] }, { "values": [] }] });
    let mut expected = json!({
        "object": "list",
        "data": [
            { "object": "embedding", "index": 0, "embedding": [0.013_168_523, -1] },
            { "object": "embedding", "index": 1, "embedding": [] },
        ],
        "model": "gemini-embedding-001",
    });
    assert_eq!(answer(&body, false), (expected.clone(), None));
    body["usageMetadata"] = json!({ "promptTokenCount": 4 });
    expected["usage"] = json!({ "prompt_tokens": 4, "total_tokens": 4 });
    let usage = Usage { prompt_tokens: 4, ..Usage::default() };
    assert_eq!(answer(&body, false), (expected.clone(), Some(usage)));
    assert_eq!(read_facts(expected.to_string().as_bytes()), Ok((Some("gemini-embedding-001".to_owned()), Some(usage))));
}

#[test]
fn answers_of_another_shape_are_refused() {
    for body in ["", "{}", "[]", r#"{"embeddings":[{"values":["a"]}]}"#, r#"{"embedding":{"values":[1]}}"#] {
        assert!(from_gemini(body.as_bytes(), "e", false, 1).is_err(), "{body}");
    }
    assert!(read_facts(b"x").is_err());
    let two = br#"{"embeddings":[{"values":[1]},{"values":[2]}]}"#;
    for (inputs, fits) in [(1, false), (2, true), (3, false)] {
        assert_eq!(from_gemini(two, "e", false, inputs).is_ok(), fits, "{inputs}");
    }
}

#[test]
fn odd_details_lose_no_answer() {
    for odd in [r#""model":7,"usage":[]"#, r#""model":{},"usage":{"prompt_tokens":"x"}"#, r#""usage":null"#] {
        assert_eq!(read_facts(format!(r#"{{"data":[],{odd}}}"#).as_bytes()), Ok((None, None)), "{odd}");
    }
    let usage = br#"{"embeddings":[],"usageMetadata":{"promptTokenCount":"x"}}"#;
    assert_eq!(from_gemini(usage, "e", false, 0).map(|(_, usage)| usage), Ok(None));
}

proptest! {
    #[test]
    fn base64_holds_the_same_floats(values in prop::collection::vec(-1.0_f32..1.0, 0..9)) {
        let (json, _) = answer(&json!({ "embeddings": [{ "values": values }] }), true);
        let bytes = STANDARD.decode(json["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let floats: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        prop_assert_eq!(floats, values);
    }

    #[test]
    fn nothing_panics(body in "[\\[\\]{}\":,a-z0-9 ]{0,40}") {
        let _ = to_gemini(body.as_bytes(), "e");
        let _ = from_gemini(body.as_bytes(), "e", true, 1);
        let _ = read_facts(body.as_bytes());
    }
}
