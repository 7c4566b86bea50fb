//! What every family does alike, shown with OpenAI's words; the families' own are in the files below.

mod families;
mod stops;
mod strictness;

use serde_json::json;

use super::*;
use crate::http_client;

async fn send(upstream: &Upstream, body: &Value) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/chat/completions", upstream.base_url());
    http_client::new().post(url).bearer_auth("sk-of-the-tests").json(body).send().await
}

/// A chat request of which the user says `text`.
#[expect(clippy::needless_pass_by_value, reason = "it is always written in place")]
fn said(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn without_a_scenario_it_is_a_provider_that_works() {
    let upstream = Upstream::start().await.unwrap();
    let unary: Value = send(&upstream, &said("Hello", json!({}))).await.unwrap().json().await.unwrap();
    assert_eq!(unary["choices"][0]["message"]["content"], "Hello from the upstream");
    let body = said("Hello", json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = send(&upstream, &body).await.unwrap().text().await.unwrap();
    assert!(events.ends_with("data: [DONE]\n\n") && events.contains("total_tokens"), "{events}");
}

#[tokio::test]
async fn requests_are_recorded_exactly() {
    let upstream = Upstream::start().await.unwrap();
    let scenario = upstream.script(Script::Json(json!({"answer": 42})));
    let body = scenario.chat("m", json!({"unknown": [1, null]}));
    let answer: Value = send(&upstream, &body).await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"answer": 42}));
    let request = scenario.request().await;
    assert_eq!(request.uri, "/v1/chat/completions");
    assert_eq!(request.body, body.to_string());
    assert!(scenario.closed().await.played_to_its_end);
    assert_eq!(scenario.requests().len(), 1);
}

#[tokio::test]
async fn a_lock_step_stream_sends_what_the_test_sends() {
    let upstream = Upstream::start().await.unwrap();
    let (script, steps) = Script::lock_step();
    let scenario = upstream.script(script);
    let mut answer = send(&upstream, &scenario.chat("m", json!({"stream": true}))).await.unwrap();
    for text in ["one", "two"] {
        steps.text(text);
        let chunk = answer.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&chunk).contains(text));
    }
    steps.done();
    assert_eq!(answer.text().await.unwrap(), "data: [DONE]\n\n");
    assert!(scenario.closed().await.played_to_its_end);
}

#[tokio::test]
async fn a_cut_is_seen_as_a_broken_transfer() {
    let upstream = Upstream::start().await.unwrap();
    let (script, steps) = Script::lock_step();
    let scenario = upstream.script(script);
    let answer = send(&upstream, &scenario.chat("m", json!({}))).await.unwrap();
    steps.raw("data: half");
    steps.cut();
    answer.text().await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let upstream = Upstream::start().await.unwrap();
    let (script, steps) = Script::lock_step();
    let streaming = upstream.script(script);
    let mut answer = send(&upstream, &streaming.chat("m", json!({}))).await.unwrap();
    steps.text("one");
    answer.chunk().await.unwrap().unwrap();
    drop(answer);
    assert!(!streaming.closed().await.played_to_its_end);

    // Before the head, too.
    let (script, _release) = Script::held(Script::Friendly);
    let held = upstream.script(script);
    let body = held.chat("m", json!({}));
    let url = format!("{}/chat/completions", upstream.base_url());
    let sending = tokio::spawn(http_client::new().post(url).body(body.to_string()).send());
    held.request().await;
    sending.abort();
    assert!(!held.closed().await.played_to_its_end);
}

#[tokio::test]
async fn faults_are_as_written() {
    let upstream = Upstream::start().await.unwrap();
    let scenario = upstream.script(Script::error(429, "slow down", &[("retry-after", "7")]));
    let answer = send(&upstream, &scenario.chat("m", json!({}))).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["message"], "slow down");

    let scenario = upstream.script(Script::HangUp);
    send(&upstream, &scenario.chat("m", json!({}))).await.unwrap_err();

    let scenario = upstream.script(Script::Raw { content_type: "application/json".into(), body: "{\"half\":".into() });
    assert_eq!(send(&upstream, &scenario.chat("m", json!({}))).await.unwrap().text().await.unwrap(), "{\"half\":");

    let (script, release) = Script::held(Script::Stream(vec![json!({"n": 1})]));
    let scenario = upstream.script(script);
    let body = scenario.chat("m", json!({}));
    let (answer, ()) = tokio::join!(send(&upstream, &body), async {
        scenario.request().await;
        release.release();
    });
    assert_eq!(answer.unwrap().text().await.unwrap(), "data: {\"n\":1}\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn a_marker_in_the_text_names_the_scenario_too() {
    let upstream = Upstream::start().await.unwrap();
    let scenario = upstream.script(Script::in_turn(vec![
        Script::error(503, "later", &[("retry-after", "1")]),
        Script::chosen(|request| Script::Json(json!({"path": request.uri.path()}))),
    ]));
    let body = scenario.ask("m", "Hello", json!({"temperature": 0}));
    assert_eq!(send(&upstream, &body).await.unwrap().status(), 503);
    for _ in 0..2 {
        let answer: Value = send(&upstream, &body).await.unwrap().json().await.unwrap();
        assert_eq!(answer["path"], "/v1/chat/completions");
    }
    assert_eq!(scenario.requests().len(), 3);
    let strange = said(&format!("goblin-test:{}", uuid::Uuid::new_v4()), json!({}));
    assert_eq!(send(&upstream, &strange).await.unwrap().status(), 500);
}
