//! From OpenTelemetry's messages to records.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{AggregationTemporality, Metric, NumberDataPoint, metric, number_data_point},
    resource::v1::Resource,
    trace::v1::{self as trace, status::StatusCode},
};
use serde_json::Value;

use super::{
    Received,
    record::{Attributes, LogRecord, MetricPoint, PointValue, Span, SpanEvent, SpanKind, SpanStatus},
};

impl Received {
    pub(super) fn record_traces(&self, request: ExportTraceServiceRequest) {
        let spans = request.resource_spans.into_iter().flat_map(|of_resource| {
            let resource = attributes_of(of_resource.resource);
            of_resource.scope_spans.into_iter().flat_map(move |of_scope| {
                let (resource, scope) = (resource.clone(), name_of(of_scope.scope));
                of_scope.spans.into_iter().map(move |sent| span(sent, &resource, &scope))
            })
        });
        self.spans.extend(spans);
    }

    pub(super) fn record_metrics(&self, request: ExportMetricsServiceRequest) {
        let points = request.resource_metrics.into_iter().flat_map(|of_resource| {
            let resource = attributes_of(of_resource.resource);
            let metrics = of_resource.scope_metrics.into_iter().flat_map(|of_scope| of_scope.metrics);
            metrics.flat_map(move |metric| points_of(metric, &resource))
        });
        self.points.extend(points);
    }

    pub(super) fn record_logs(&self, request: ExportLogsServiceRequest) {
        let logs = request.resource_logs.into_iter().flat_map(|of_resource| {
            let service = service_of(&attributes_of(of_resource.resource));
            of_resource.scope_logs.into_iter().flat_map(move |of_scope| {
                let (service, scope) = (service.clone(), name_of(of_scope.scope));
                of_scope.log_records.into_iter().map(move |sent| LogRecord {
                    trace_id: hex::encode(sent.trace_id),
                    span_id: hex::encode(sent.span_id),
                    service: service.clone(),
                    scope: scope.clone(),
                    severity: sent.severity_text,
                    body: json(sent.body),
                    attributes: attributes(sent.attributes),
                })
            })
        });
        self.logs.extend(logs);
    }
}

fn span(sent: trace::Span, resource: &Attributes, scope: &str) -> Span {
    let kind = match sent.kind() {
        trace::span::SpanKind::Unspecified => SpanKind::Unspecified,
        trace::span::SpanKind::Internal => SpanKind::Internal,
        trace::span::SpanKind::Server => SpanKind::Server,
        trace::span::SpanKind::Client => SpanKind::Client,
        trace::span::SpanKind::Producer => SpanKind::Producer,
        trace::span::SpanKind::Consumer => SpanKind::Consumer,
    };
    let status = match sent.status {
        Some(status) if status.code() == StatusCode::Error => SpanStatus::Error(status.message),
        Some(status) if status.code() == StatusCode::Ok => SpanStatus::Ok,
        _ => SpanStatus::Unset,
    };
    let events = sent.events.into_iter().map(|event| SpanEvent {
        name: event.name,
        time_nanos: event.time_unix_nano,
        attributes: attributes(event.attributes),
    });
    Span {
        trace_id: hex::encode(sent.trace_id),
        span_id: hex::encode(sent.span_id),
        parent_span_id: hex::encode(sent.parent_span_id),
        trace_state: sent.trace_state,
        flags: sent.flags,
        name: sent.name,
        kind,
        service: service_of(resource),
        resource: resource.clone(),
        scope: scope.to_owned(),
        attributes: attributes(sent.attributes),
        status,
        start_nanos: sent.start_time_unix_nano,
        end_nanos: sent.end_time_unix_nano,
        events: events.collect(),
    }
}

fn points_of(metric: Metric, resource: &Attributes) -> Vec<MetricPoint> {
    let is_delta = |temporality| temporality == AggregationTemporality::Delta as i32;
    let values: Vec<(Vec<KeyValue>, PointValue)> = match metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge
            .data_points
            .into_iter()
            .map(|point| (number(&point), point))
            .map(|(value, point)| (point.attributes, PointValue::Gauge(value)))
            .collect(),
        Some(metric::Data::Sum(sum)) => {
            let (is_delta, is_monotonic) = (is_delta(sum.aggregation_temporality), sum.is_monotonic);
            let points = sum.data_points.into_iter();
            points
                .map(|point| {
                    let value = number(&point);
                    (point.attributes, PointValue::Sum { value, is_delta, is_monotonic })
                })
                .collect()
        }
        Some(metric::Data::Histogram(histogram)) => {
            let is_delta = is_delta(histogram.aggregation_temporality);
            let points = histogram.data_points.into_iter();
            points
                .map(|point| {
                    let value = PointValue::Histogram {
                        count: point.count,
                        sum: point.sum.unwrap_or_default(),
                        bounds: point.explicit_bounds,
                        buckets: point.bucket_counts,
                        is_delta,
                    };
                    (point.attributes, value)
                })
                .collect()
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.into_iter();
            points.map(|point| (point.attributes, PointValue::Other(point.count))).collect()
        }
        Some(metric::Data::Summary(summary)) => {
            let points = summary.data_points.into_iter();
            points.map(|point| (point.attributes, PointValue::Other(point.count))).collect()
        }
        None => Vec::new(),
    };
    values
        .into_iter()
        .map(|(point_attributes, value)| MetricPoint {
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            service: service_of(resource),
            resource: resource.clone(),
            attributes: attributes(point_attributes),
            value,
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "tests count less than 2^52")]
fn number(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => 0.0,
    }
}

fn attributes_of(resource: Option<Resource>) -> Attributes {
    attributes(resource.unwrap_or_default().attributes)
}

fn service_of(resource: &Attributes) -> String {
    resource.get("service.name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn name_of(scope: Option<InstrumentationScope>) -> String {
    scope.unwrap_or_default().name
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, json(pair.value))).collect()
}

fn json(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::BoolValue(value)) => value.into(),
        Some(any_value::Value::IntValue(value)) => value.into(),
        Some(any_value::Value::DoubleValue(value)) => value.into(),
        Some(any_value::Value::ArrayValue(array)) => array.values.into_iter().map(|value| json(Some(value))).collect(),
        Some(any_value::Value::KvlistValue(list)) => attributes(list.values).into_iter().collect(),
        Some(any_value::Value::BytesValue(bytes)) => hex::encode(bytes).into(),
        // An index into a table that only profiles have.
        Some(any_value::Value::StringValueStrindex(index)) => index.into(),
        None => Value::Null,
    }
}
