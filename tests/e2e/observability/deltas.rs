//! Counts of the edge's isolates, which each tell what came since the last time, add up in Prometheus.

use std::time::Duration;

use goblin_shared::vocabulary::EDGE_DECISIONS;
use goblin_tests::{http_client, observability::Observability};
use serde_json::{Value, json};

use super::{PATIENCE, Watched};
use crate::{
    client,
    suite::{Outcome, Suite},
};

pub(super) fn register(suite: &mut Suite) {
    suite.test("changes_of_isolates_add_up_interleaved_and_late", changes_add_up);
}

/// What an isolate tells of a window, in seconds since the beginning.
struct Told {
    isolate: &'static str,
    from: u64,
    to: u64,
    count: u64,
}

async fn changes_add_up() -> Outcome {
    let watched = match Watched::shared().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    // A service that nobody else is.
    let service = format!("goblin-edge-{}", uuid::Uuid::new_v4().simple());
    let begin = client::now().as_secs() - 60;
    let told = |isolate, from, to, count| Told { isolate, from, to, count };
    let all = [
        told("a", 0, 5, 3),
        told("b", 2, 7, 5),
        told("a", 5, 10, 4),
        // It was slow to tell: the other has told a later time by then.
        told("a", 10, 15, 1),
        told("b", 7, 9, 6),
        // A gap, in which nothing happened.
        told("b", 20, 25, 2),
        told("c", 24, 25, 7),
    ];
    let sum: u64 = all.iter().map(|told| told.count).sum();
    let client = http_client::new();
    let url = Observability::url(watched.observability.ports.otlp_http, "/v1/metrics");
    for told in &all {
        let answer = client.post(&url).json(&request(&service, begin, told)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let asking = watched.ask();
    let query = format!("sum({}{{job=\"{service}\"}})", EDGE_DECISIONS.prometheus_name());
    let mut found = None;
    let added_up = async {
        while found != Some(sum.to_string()) {
            found = asking.value(&query).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, added_up).await.is_ok();
    assert!(in_time, "{found:?} is the sum in Prometheus, and not {sum}");
    // It stays so: nothing comes twice.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asking.value(&query).await, Some(sum.to_string()));
    Outcome::Passed
}

fn request(service: &str, begin: u64, told: &Told) -> Value {
    let nanos = |second: u64| format!("{}000000000", begin + second);
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceMetrics": [{
        "resource": {"attributes": [
            attribute("service.name", service), attribute("service.instance.id", told.isolate),
        ]},
        "scopeMetrics": [{"metrics": [{
            "name": EDGE_DECISIONS.name, "unit": EDGE_DECISIONS.unit,
            "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{
                "attributes": [attribute("decision", "admitted"), attribute("reason", "key")],
                "startTimeUnixNano": nanos(told.from), "timeUnixNano": nanos(told.to), "asInt": told.count.to_string(),
            }]},
        }]}],
    }]})
}
