//! Questions to the servers of the stack, asked until they are answered.

use std::{collections::BTreeSet, time::Duration};

use goblin_tests::observability::{Observability, Ports};
use reqwest::Client;
use serde_json::Value;

use super::PATIENCE;

/// Asks them.
pub(super) struct Asking {
    client: Client,
    ports: Ports,
}

/// A span as Jaeger has it.
#[derive(Clone, Debug)]
pub(super) struct StoredSpan {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) id: String,
    /// Empty where it has none.
    pub(super) parent: String,
    tags: Vec<(String, String)>,
}

impl StoredSpan {
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn read(span: &Value, processes: &Value) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let process = span["processID"].as_str().unwrap_or_default();
        let references = span["references"].as_array().cloned().unwrap_or_default();
        let tags = span["tags"].as_array().cloned().unwrap_or_default();
        Self {
            service: text(&processes[process]["serviceName"]),
            name: text(&span["operationName"]),
            id: text(&span["spanID"]),
            parent: references.first().map(|reference| text(&reference["spanID"])).unwrap_or_default(),
            tags: tags.iter().map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect(),
        }
    }
}

impl Asking {
    pub(super) fn new(ports: Ports) -> Self {
        Self { client: goblin_tests::http_client::new(), ports }
    }

    /// What is answered in JSON; null where it is not.
    async fn json(&self, port: u16, path: &str, query: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&Observability::url(port, path)).expect("a URL");
        url.query_pairs_mut().extend_pairs(query);
        match self.client.get(url).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    /// The spans of a trace, once there are so many.
    pub(super) async fn trace(&self, trace: &str, least: usize) -> Vec<StoredSpan> {
        let mut told = Value::Null;
        let asking = async {
            loop {
                told = self.json(self.ports.jaeger_query, &format!("/api/traces/{trace}"), &[]).await;
                let found = &told["data"][0];
                let spans = found["spans"].as_array().cloned().unwrap_or_default();
                if spans.len() >= least {
                    return spans.iter().map(|span| StoredSpan::read(span, &found["processes"])).collect();
                }
                pause().await;
            }
        };
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        asked.unwrap_or_else(|_| panic!("Jaeger has no {least} spans of {trace}: {told}"))
    }

    /// Lines that a query of Loki finds in the last hour, once there are so many.
    pub(super) async fn lines(&self, query: &str, least: usize) -> Vec<String> {
        let mut told = Value::Null;
        let asking = async {
            loop {
                let wish = [("query", query), ("since", "1h"), ("limit", "1000")];
                told = self.json(self.ports.loki, "/loki/api/v1/query_range", &wish).await;
                let streams = told["data"]["result"].as_array().cloned().unwrap_or_default();
                let lines: Vec<String> = streams
                    .iter()
                    .flat_map(|stream| stream["values"].as_array().cloned().unwrap_or_default())
                    .map(|value| value[1].as_str().unwrap_or_default().to_owned())
                    .collect();
                if lines.len() >= least {
                    return lines;
                }
                pause().await;
            }
        };
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        asked.unwrap_or_else(|_| panic!("Loki finds fewer than {least} lines by {query}: {told}"))
    }

    /// Whether a query of Loki finds any line of the last hour.
    pub(super) async fn has_lines(&self, query: &str) -> bool {
        let wish = [("query", query), ("since", "1h"), ("limit", "10")];
        let told = self.json(self.ports.loki, "/loki/api/v1/query_range", &wish).await;
        told["data"]["result"].as_array().is_some_and(|streams| !streams.is_empty())
    }

    /// Whether a query of Prometheus finds any number now.
    pub(super) async fn has_values(&self, query: &str) -> bool {
        let told = self.json(self.ports.prometheus, "/api/v1/query", &[("query", query)]).await;
        let found = told["data"]["result"].as_array().cloned().unwrap_or_default();
        found.iter().any(|series| series["value"][1].as_str().is_some_and(|value| value != "NaN"))
    }

    /// The one number that a query of Prometheus finds now.
    pub(super) async fn value(&self, query: &str) -> Option<String> {
        let told = self.json(self.ports.prometheus, "/api/v1/query", &[("query", query)]).await;
        told["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    }

    /// Alerts that Alertmanager holds as active.
    pub(super) async fn alerts(&self) -> Vec<HeldAlert> {
        let told = self.json(self.ports.alertmanager, "/api/v2/alerts", &[("active", "true")]).await;
        let alerts = told.as_array().cloned().unwrap_or_default();
        alerts.into_iter().map(|alert| HeldAlert { name: text(&alert["labels"]["alertname"]), alert }).collect()
    }

    /// Names of all series of Prometheus.
    pub(super) async fn metric_names(&self) -> BTreeSet<String> {
        let told = self.json(self.ports.prometheus, "/api/v1/label/__name__/values", &[]).await;
        let names = told["data"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Traces that exemplars of a series name, once there are any.
    pub(super) async fn exemplars(&self, series: &str) -> Vec<String> {
        let asking = async {
            loop {
                let (start, end) = window();
                let wish = [("query", series), ("start", start.as_str()), ("end", end.as_str())];
                let told = self.json(self.ports.prometheus, "/api/v1/query_exemplars", &wish).await;
                let series = told["data"].as_array().cloned().unwrap_or_default();
                let traces: Vec<String> = series
                    .iter()
                    .flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default())
                    .filter_map(|exemplar| exemplar["labels"]["trace_id"].as_str().map(str::to_owned))
                    .collect();
                if !traces.is_empty() {
                    return traces;
                }
                pause().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{series} has no exemplars"))
    }

    /// Waits until so many of the Collector's exporters have something in their queue.
    pub(super) async fn queued(&self, exporters: usize) {
        let url = Observability::url(self.ports.collector_metrics, "/metrics");
        let mut told = String::new();
        let asking = async {
            loop {
                told = match self.client.get(&url).send().await {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(_) => String::new(),
                };
                let waiting = told
                    .lines()
                    .filter(|line| line.starts_with("otelcol_exporter_queue_size{") && !line.ends_with(" 0"));
                if waiting.count() >= exporters {
                    return;
                }
                pause().await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            let queues: Vec<&str> = told.lines().filter(|line| line.contains("queue")).collect();
            panic!("fewer than {exporters} exporters have something in their queue: {queues:#?}");
        }
    }
}

/// An alert as Alertmanager has it.
#[derive(Clone, Debug)]
pub(super) struct HeldAlert {
    pub(super) name: String,
    alert: Value,
}

impl HeldAlert {
    pub(super) fn label(&self, name: &str) -> String {
        text(&self.alert["labels"][name])
    }

    pub(super) fn annotation(&self, name: &str) -> String {
        text(&self.alert["annotations"][name])
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The last hour, in seconds since 1970.
fn window() -> (String, String) {
    let now = crate::client::now().as_secs();
    ((now - 3_600).to_string(), (now + 60).to_string())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
