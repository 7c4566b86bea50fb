//! An outage of the provider raises the alert that names it, and the alert ends with the outage.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use goblin_tests::observability::Part;

use super::{PATIENCE, Watched};
use crate::{
    accounting::provider::FAIL,
    answered::send,
    client,
    suite::{Outcome, Suite},
};

pub(super) fn register(suite: &mut Suite) {
    suite.test("an_outage_of_the_provider_is_told_and_its_end_too", an_outage_is_told);
}

const ALERT: &str = "LlmAvailabilityBudgetBurnsFast";

async fn an_outage_is_told() -> Outcome {
    let watched = match Watched::start().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    let asking = watched.ask();
    let ask = async |text: &str| {
        let body = watched.provider.ask(text, json!({}));
        send(client::post(&watched.stack, "/v1/chat/completions", &body)).await.status
    };
    let operations = format!("http://{}/admin/incidents", watched.stack.backend.operations());
    let teller = watched.stack.create_api_key(&["--scopes", "incidents"]).await.unwrap();
    let admin = watched.stack.create_api_key(&["--scopes", "admin"]).await.unwrap();
    watched.observability.tell_incidents(&operations, &teller).unwrap();
    let incidents = async || {
        let answer = reqwest::Client::new().get(&operations).bearer_auth(&admin).send().await.unwrap();
        let told: Value = answer.json().await.unwrap();
        told["data"].as_array().cloned().unwrap_or_default()
    };
    // That alerting works is told from the beginning on, and nothing else.
    let works = async {
        while !asking.alerts().await.iter().any(|alert| alert.name == "Watchdog") {
            assert_eq!(ask("hello").await, 200);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, works).await.expect("the watchdog does not come to Alertmanager");
    assert!(asking.alerts().await.iter().all(|alert| alert.name != ALERT));

    let outage = Instant::now();
    let told = async {
        loop {
            ask(FAIL).await;
            if let Some(alert) = asking.alerts().await.into_iter().find(|alert| alert.name == ALERT) {
                return alert;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let alert = tokio::time::timeout(PATIENCE, told).await.expect("the outage is not told");
    println!("{ALERT} came to Alertmanager {:.1} s after the outage began", outage.elapsed().as_secs_f64());
    assert_eq!(alert.label("severity"), "page");
    assert_eq!(alert.label("slo"), "llm");
    assert!(alert.annotation("runbook_url").ends_with("LlmAvailabilityBudgetBurnsFast.md"));
    assert!(alert.annotation("description").starts_with("LLM availability: "), "{alert:?}");

    let over = async {
        while asking.alerts().await.iter().any(|alert| alert.name == ALERT) {
            ask("hello").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // It comes to the backend as well, and there its end too.
    let is_kept = async |state: &str| {
        while !incidents().await.iter().any(|incident| incident["alert"] == ALERT && incident["state"] == state) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, is_kept("open")).await.is_err() {
        let log = watched.observability.log_tail(Part::Alertmanager).await;
        panic!("the incident is not kept; the backend has {:?}, and Alertmanager says:\n{log}", incidents().await);
    }
    tokio::time::timeout(PATIENCE, over).await.expect("the alert goes on after the outage");
    tokio::time::timeout(PATIENCE, is_kept("ended")).await.expect("the incident's end is not kept");
    Outcome::Passed
}
