//! What an edge counted.

use std::collections::BTreeMap;

use goblin_tests::otlp_sink::{MetricPoint, OtlpSink, PointValue};

/// How often each pair of decision and reason was counted.
pub(crate) type Decisions = BTreeMap<(String, String), f64>;

/// The sums of what the edge with this `service.name` reported; panics when a report is no increment of a counter.
pub(crate) fn decisions(points: &[MetricPoint], service: &str) -> Decisions {
    let mut decisions = Decisions::new();
    for point in points.iter().filter(|point| point.service == service && point.name == "goblin.edge.decisions") {
        let PointValue::Sum { value, is_delta: true, is_monotonic: true } = point.value else {
            panic!("no increment of a counter: {point:?}")
        };
        assert_eq!(point.unit, "{decision}");
        let names: Vec<&str> = point.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["decision", "reason"]);
        let text = |name: &str| point.attributes[name].as_str().expect("a text").to_owned();
        *decisions.entry((text("decision"), text("reason"))).or_default() += value;
    }
    decisions
}

/// The expected sums, written as (decision, reason, how often).
pub(crate) fn of(expected: &[(&str, &str, u32)]) -> Decisions {
    let pairs = expected
        .iter()
        .map(|(decision, reason, count)| ((String::from(*decision), String::from(*reason)), f64::from(*count)));
    pairs.collect()
}

/// Waits until an edge has counted a pair at least once.
pub(crate) async fn wait_for_decision(sink: &OtlpSink, service: &str, decision: &str, reason: &str) {
    let pair = (decision.to_owned(), reason.to_owned());
    sink.wait_for_points(|points| decisions(points, service).contains_key(&pair)).await;
}
