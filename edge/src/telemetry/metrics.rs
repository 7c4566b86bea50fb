//! Counts of one isolate, gathered for a while and sent as deltas.

use std::collections::BTreeMap;

use goblin_shared::vocabulary::{EDGE_DECISIONS, Metric as Declared};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{
        AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
    },
};
use prost::Message;

use super::{
    Interval,
    otlp::{nanos, resource, scope, text},
};
use crate::config::OtlpConfig;

/// What an isolate has counted and not sent yet. As many entries as there are pairs of decision and reason, which are
/// all ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    decisions: BTreeMap<(&'static str, &'static str), u64>,
    since: f64,
    /// When somebody was last told to send them, unless they were taken since.
    asked: Option<f64>,
}

impl Counts {
    /// Who was told to send them and has not within this time is gone, with the request that it belonged to.
    const PATIENCE_MS: f64 = 60_000.0;

    /// Counts one decision at `now` (milliseconds since 1970). True when the caller is to see to their being sent.
    #[must_use]
    pub fn count(&mut self, decision: &'static str, reason: &'static str, now: f64) -> bool {
        if self.decisions.is_empty() {
            self.since = now;
        }
        *self.decisions.entry((decision, reason)).or_default() += 1;
        if self.asked.is_some_and(|asked| now < asked + Self::PATIENCE_MS) {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// Takes what there is, to be sent.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Puts back what could not be sent, so that it leaves with the next.
    pub fn put_back(&mut self, unsent: Self) {
        self.since = if self.decisions.is_empty() { unsent.since } else { self.since.min(unsent.since) };
        for (pair, count) in unsent.decisions {
            *self.decisions.entry(pair).or_default() += count;
        }
    }

    /// Encodes them as the protobuf body of an OTLP/HTTP export.
    #[must_use]
    pub fn encode(&self, otlp: &OtlpConfig, instance: &str, now: f64) -> Vec<u8> {
        let interval = Interval { start: self.since, end: now };
        let metrics = vec![counter(&EDGE_DECISIONS, interval, &self.decisions)];
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource(otlp, instance)),
                scope_metrics: vec![ScopeMetrics { scope: Some(scope()), metrics, schema_url: String::new() }],
                schema_url: String::new(),
            }],
        };
        request.encode_to_vec()
    }
}

fn counter(declared: &Declared, interval: Interval, counts: &BTreeMap<(&'static str, &'static str), u64>) -> Metric {
    let point = |(values, count): (&(&str, &str), &u64)| NumberDataPoint {
        attributes: vec![text(declared.labels[0], values.0), text(declared.labels[1], values.1)],
        start_time_unix_nano: nanos(interval.start),
        time_unix_nano: nanos(interval.end.max(interval.start)),
        value: Some(number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: counts.iter().map(point).collect(),
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    };
    Metric {
        name: declared.name.to_owned(),
        description: declared.description.to_owned(),
        unit: declared.unit.to_owned(),
        data: Some(metric::Data::Sum(sum)),
        ..Metric::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::otlp;

    #[test]
    fn counts_leave_as_deltas_with_their_window() {
        let mut counts = Counts::default();
        assert!(counts.count("admitted", "api_key", 1_000.0));
        assert!(!counts.count("admitted", "api_key", 2_000.0) && !counts.count("refused", "crawler", 2_000.0));
        let body = counts.encode(&otlp(), "instance", 3_000.0);
        let sent = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap().resource_metrics.remove(0);
        let instance = sent.resource.unwrap().attributes.into_iter().find(|pair| pair.key == "service.instance.id");
        assert_eq!(instance, Some(text("service.instance.id", "instance")));
        let metric = sent.scope_metrics[0].metrics[0].clone();
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("goblin.edge.decisions", "{decision}"));
        let Some(metric::Data::Sum(sum)) = metric.data else { panic!("not a sum") };
        assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Delta);
        let points: Vec<_> = sum.data_points.iter().map(|point| (point.attributes.clone(), point.value)).collect();
        let expected = |decision, reason, count| {
            (vec![text("decision", decision), text("reason", reason)], Some(number_data_point::Value::AsInt(count)))
        };
        assert_eq!(points, [expected("admitted", "api_key", 2), expected("refused", "crawler", 1)]);
        let window = (sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano);
        assert_eq!(window, (1_000_000_000, 3_000_000_000));
    }

    #[test]
    fn what_could_not_be_sent_is_not_lost() {
        let mut counts = Counts::default();
        assert!(counts.count("refused", "crawler", 1_000.0));
        let unsent = counts.take();
        assert!(counts.count("refused", "crawler", 5_000.0), "what was taken is another's to send");
        counts.put_back(unsent.clone());
        assert_eq!((counts.decisions[&("refused", "crawler")], counts.since), (2, 1_000.0));
        assert!(!counts.count("refused", "crawler", 6_000.0), "somebody was told already");
        let mut empty = Counts::default();
        empty.put_back(unsent);
        assert!(empty.count("refused", "crawler", 7_000.0), "what was put back needs somebody to send it");
        assert_eq!((empty.decisions[&("refused", "crawler")], empty.since), (2, 1_000.0));
    }

    #[test]
    fn who_was_told_and_is_gone_is_replaced() {
        let mut counts = Counts::default();
        assert!(counts.count("refused", "crawler", 1_000.0));
        assert!(!counts.count("refused", "crawler", 60_999.0));
        assert!(counts.count("refused", "crawler", 61_000.0));
    }
}
