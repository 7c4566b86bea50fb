//! The client that everybody has.

use goblin_tests::upstream::{SCENARIO_FIELD, Script};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    shared_stack::shared,
    suite::{Outcome, Suite, skip},
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("curl_chats_through_the_edge", curl_chats_through_the_edge);
}

async fn curl_chats_through_the_edge() -> Outcome {
    if Command::new("curl").arg("--version").output().await.is_err() {
        return skip("curl is not installed");
    }
    let shared = shared().await;
    let scenario = shared.upstream.script(Script::Friendly);
    let body = scenario.chat("gpt-4o-mini", json!({}));
    let mut curl = Command::new("curl");
    let key = format!("authorization: Bearer {}", shared.stack.api_key);
    curl.args(["-sS", "-i", "-H", &key, "-H", "content-type: application/json", "-d", &body.to_string()]);
    let output = curl.arg(shared.url("/v1/chat/completions")).output().await.unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    let (head, answer) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}, {:?}", output.stderr));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}\n{answer}");
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello from the upstream");
    assert_eq!(scenario.request().await.json()[SCENARIO_FIELD], scenario.id());

    let (_, trace_id) = head.split_once("desc=\"00-").expect("the trace in server-timing");
    let services = ["goblin-edge", "goblin-backend"];
    shared
        .sink
        .wait_for_spans(&trace_id[..32], |spans| {
            services.iter().all(|service| spans.iter().any(|span| span.service == *service))
        })
        .await;
    Outcome::Passed
}
