//! Vectors of texts, from every provider that has them.

use goblin_tests::upstream::Script;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    client,
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        texts_become_vectors_whoever_makes_them,
        the_demo_provider_makes_vectors_without_network,
        an_alias_stands_for_a_model_of_vectors,
        tokens_go_only_where_they_are_understood,
        chat_and_vectors_have_models_of_their_own,
        a_request_for_vectors_that_fails_upstream_fails_as_a_chat_does,
    );
}

const EMBEDDINGS: &str = "/v1/embeddings";

/// Models behind the upstream of the tests, which gives a text the same vector whatever the model.
const MODELS: [&str; 2] = ["text-embedding-3-small", "gemini-embedding-001"];

async fn send(shared: &SharedStack, body: &Value) -> Response {
    client::post(shared, EMBEDDINGS, body).send().await.expect("an answer")
}

async fn served(shared: &SharedStack, body: &Value) -> Value {
    let answer = send(shared, body).await;
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(status, 200, "{body} gives {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

async fn texts_become_vectors_whoever_makes_them(shared: &SharedStack) {
    let mut seen = Vec::new();
    for model in MODELS {
        let body = json!({"model": model, "input": ["a goblin", "two goblins"], "dimensions": 4});
        let answer = served(shared, &body).await;
        assert_eq!(answer["object"], "list", "{model}: {answer}");
        let data = answer["data"].as_array().expect("a list");
        assert_eq!([&data[0]["index"], &data[1]["index"]], [0, 1], "{model}");
        assert!(data.iter().all(|item| item["object"] == "embedding"), "{model}: {answer}");
        assert_eq!(data[0]["embedding"].as_array().map(Vec::len), Some(4), "{model}: {answer}");
        assert_eq!([&answer["usage"]["prompt_tokens"], &answer["usage"]["total_tokens"]], [4, 4], "{model}");
        seen.push(data.iter().map(|item| item["embedding"].clone()).collect::<Vec<_>>());

        let one = served(shared, &json!({"model": model, "input": "a goblin", "dimensions": 4})).await;
        assert_eq!(one["data"][0]["embedding"], data[0]["embedding"], "{model}: one text is a list of one");
        let packed = json!({"model": model, "input": "a goblin", "dimensions": 4, "encoding_format": "base64"});
        let packed = served(shared, &packed).await;
        // Four floats of four bytes each.
        assert_eq!(packed["data"][0]["embedding"].as_str().map(str::len), Some(24), "{model}: {packed}");
    }
    assert_eq!(seen[0], seen[1], "nothing is changed on the way");
}

async fn the_demo_provider_makes_vectors_without_network(shared: &SharedStack) {
    let body = json!({"model": "goblin-demo-embedding", "input": ["a goblin", "a goblin", "an elf"]});
    let answer = served(shared, &body).await;
    let vectors: Vec<&Value> =
        answer["data"].as_array().expect("a list").iter().map(|item| &item["embedding"]).collect();
    assert_eq!(vectors[0], vectors[1]);
    assert_ne!(vectors[0], vectors[2]);
    assert!(answer["usage"]["prompt_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{answer}");
}

async fn an_alias_stands_for_a_model_of_vectors(shared: &SharedStack) {
    let answer = send(shared, &json!({"model": "embed", "input": "a goblin"})).await;
    let model = client::header(&answer, "x-goblin-model").expect("who answered");
    assert!(model.contains("embedding"), "{model}");
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["data"][0]["embedding"].is_array(), "{answer}");
}

async fn tokens_go_only_where_they_are_understood(shared: &SharedStack) {
    let answer = served(shared, &json!({"model": MODELS[0], "input": [[1, 2, 3], [4]]})).await;
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["usage"]["prompt_tokens"], 4);
    // They are OpenAI's own numbers for pieces of words.
    let (param, message) = refused(send(shared, &json!({"model": MODELS[1], "input": [[1, 2, 3], [4]]})).await).await;
    assert!(param.starts_with("input"), "{param}: {message}");
}

async fn chat_and_vectors_have_models_of_their_own(shared: &SharedStack) {
    let (param, message) = refused(send(shared, &json!({"model": "gpt-4o-mini", "input": "a goblin"})).await).await;
    assert_eq!(param, "model");
    assert!(message.contains("/v1/chat/completions"), "it says where the model belongs: {message}");
    let mut chat = client::demo_chat("Hello");
    chat["model"] = MODELS[0].into();
    let (param, message) = refused(client::chat(shared, &chat).await).await;
    assert_eq!(param, "model");
    assert!(message.contains(EMBEDDINGS), "it says where the model belongs: {message}");
}

/// Field and message of a 400.
async fn refused(answer: Response) -> (String, String) {
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("invalid_field")), "{answer}");
    let text = |name: &str| answer["error"][name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
    (text("param"), text("message"))
}

async fn a_request_for_vectors_that_fails_upstream_fails_as_a_chat_does(shared: &SharedStack) {
    for model in MODELS {
        for (script, expected) in [
            (Script::error(500, "boom", &[]), (502, "provider_failed")),
            (Script::Json(json!({"half": true})), (502, "provider_failed")),
            (Script::error(429, "slow down", &[("retry-after", "7")]), (503, "provider_overloaded")),
            (Script::error(400, "`input` is too long", &[]), (400, "invalid_request")),
        ] {
            let scenario = shared.upstream.script(script);
            let answer = send(shared, &json!({"model": model, "input": scenario.marker()})).await;
            let (status, code, _) = client::error(answer).await;
            assert_eq!((status, code.as_str()), expected, "{model}");
        }
    }
}
