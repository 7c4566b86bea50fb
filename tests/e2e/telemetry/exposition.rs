//! Reads Prometheus' text format, and compares it with what went to a collector.

use std::collections::BTreeMap;

use goblin_tests::{
    backend::Backend,
    otlp_sink::{MetricPoint, PointValue},
};
use serde_json::Value;

/// Labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// Series by name and labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Series(pub(super) BTreeMap<(String, Labels), f64>);

impl Series {
    /// Fetches `/metrics`.
    pub(super) async fn fetch(backend: &Backend) -> Self {
        let answer = reqwest::get(format!("http://{}/metrics", backend.operations())).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(&answer.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(sample).collect())
    }

    /// All series with a name together.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|((series, _), _)| series == name).map(|(_, value)| value).sum()
    }

    /// Each value of one label, added up over the others.
    pub(super) fn by(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for ((_, labels), value) in self.0.iter().filter(|((series, _), _)| series == name) {
            *sums.entry(labels.get(label).cloned().unwrap_or_default()).or_default() += whole(*value);
        }
        sums
    }

    /// What a collector got last of each series, under the names that Prometheus has for it
    /// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>); `USD` it does not know.
    pub(super) fn of_points(points: &[MetricPoint]) -> Self {
        let mut series = BTreeMap::new();
        for point in points {
            let labels: Labels =
                point.attributes.iter().map(|(name, value)| (name.replace('.', "_"), text(value))).collect();
            let unit = match point.unit.as_str() {
                "s" => "_seconds",
                "1" if matches!(point.value, PointValue::Gauge(_)) => "_ratio",
                _ => "",
            };
            let name = format!("{}{unit}", point.name.replace('.', "_"));
            match &point.value {
                PointValue::Gauge(value) => {
                    series.insert((name, labels), *value);
                }
                PointValue::Sum { value, .. } => {
                    series.insert((format!("{name}_total"), labels), *value);
                }
                PointValue::Histogram { count, sum, bounds, buckets, .. } => {
                    let mut below = 0;
                    let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                    for (bound, bucket) in bounds.zip(buckets) {
                        below += bucket;
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), bound);
                        #[expect(clippy::cast_precision_loss, reason = "counts of tests are small")]
                        series.insert((format!("{name}_bucket"), labels), below as f64);
                    }
                    #[expect(clippy::cast_precision_loss, reason = "counts of tests are small")]
                    series.insert((format!("{name}_count"), labels.clone()), *count as f64);
                    series.insert((format!("{name}_sum"), labels), *sum);
                }
                PointValue::Other(_) => panic!("{} is of a kind that the product does not have", point.name),
            }
        }
        Self(series)
    }
}

/// A count.
pub(super) fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value.fract() == 0.0, "{value} is no count");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is one")]
    let count = value as u64;
    count
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `name{label="value",…} 1.5`
fn sample(line: &str) -> ((String, Labels), f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, rest)) = series.split_once('{') else { return ((series.to_owned(), Labels::new()), value) };
    let mut labels = Labels::new();
    // No value of ours has a quotation mark in it.
    for label in rest.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
        let (label, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        labels.insert(label.to_owned(), value.trim_end_matches('"').to_owned());
    }
    ((name.to_owned(), labels), value)
}
