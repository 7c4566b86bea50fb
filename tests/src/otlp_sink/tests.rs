use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
        metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
        trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    logs::v1::{LogRecord as LogMessage, ResourceLogs, ScopeLogs},
    metrics::v1::{
        AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
        Sum, metric, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage, Status, status::StatusCode},
};
use prost::Message as _;
use serde_json::json;
use tonic::codec::CompressionEncoding;

use super::*;
use crate::http_client;

const TRACE: u8 = 0xab;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![text("service.name", "the-service")], ..Resource::default() }
}

fn traces(span_id: u8, parent: &[u8]) -> ExportTraceServiceRequest {
    let span = SpanMessage {
        trace_id: vec![TRACE; 16],
        span_id: vec![span_id; 8],
        parent_span_id: parent.to_vec(),
        name: "POST /v1/chat/completions".to_owned(),
        kind: 2,
        attributes: vec![text("http.request.method", "POST")],
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        status: Some(Status { message: "broken".to_owned(), code: StatusCode::Error as i32 }),
        ..SpanMessage::default()
    };
    let scope = Some(InstrumentationScope { name: "the-scope".to_owned(), ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn metrics() -> ExportMetricsServiceRequest {
    let point = HistogramDataPoint {
        attributes: vec![text("mode", "unary")],
        count: 3,
        sum: Some(1.5),
        explicit_bounds: vec![1.0],
        bucket_counts: vec![2, 1],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 1 };
    let metric = Metric {
        name: "goblin.chat.duration".to_owned(),
        unit: "s".to_owned(),
        data: Some(metric::Data::Histogram(histogram)),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn logs() -> ExportLogsServiceRequest {
    let record = LogMessage {
        trace_id: vec![TRACE; 16],
        severity_text: "INFO".to_owned(),
        body: text("", "listening").value,
        ..LogMessage::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

async fn post(url: String, content_type: &str, encoding: &str, body: Vec<u8>) -> u16 {
    let request = http_client::new().post(url).header("content-type", content_type);
    request.header("content-encoding", encoding).body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn spans_come_by_http_and_grpc_and_are_waited_for() {
    let sink = OtlpSink::start().await.unwrap();
    let trace_id = hex::encode([TRACE; 16]);
    let sending = async {
        let url = format!("{}/v1/traces", sink.http_endpoint());
        let protobuf = traces(1, &[]).encode_to_vec();
        assert_eq!(post(url.clone(), "application/x-protobuf", "identity", protobuf).await, 200);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&traces(2, &[1; 8]).encode_to_vec()).unwrap();
        assert_eq!(post(url.clone(), "application/x-protobuf", "gzip", gzip.finish().unwrap()).await, 200);
        let json = serde_json::to_vec(&traces(3, &[2; 8])).unwrap();
        assert_eq!(post(url, "application/json", "identity", json).await, 200);
        let client = TraceServiceClient::connect(sink.grpc_endpoint()).await.unwrap();
        client.send_compressed(CompressionEncoding::Gzip).export(traces(4, &[3; 8])).await.unwrap();
    };
    let (spans, ()) = tokio::join!(sink.wait_for_spans(&trace_id, |spans| spans.len() == 4), sending);
    let parents: Vec<_> = spans.iter().map(|span| span.parent_span_id.clone()).collect();
    assert_eq!(parents, [String::new(), hex::encode([1; 8]), hex::encode([2; 8]), hex::encode([3; 8])]);
    for span in &spans {
        assert_eq!((span.service.as_str(), span.scope.as_str()), ("the-service", "the-scope"));
        assert_eq!((span.kind, &span.status), (SpanKind::Server, &SpanStatus::Error("broken".to_owned())));
        assert_eq!(span.attributes["http.request.method"], "POST");
        assert_eq!((span.start_nanos, span.end_nanos), (1, 2));
    }
    let dump = dump(&spans);
    assert!(dump.lines().any(|line| line.starts_with(&" ".repeat(16)) && line.contains("0404")), "{dump}");
}

#[tokio::test]
async fn metrics_and_logs_come_both_ways() {
    let sink = OtlpSink::start().await.unwrap();
    let url = |path: &str| format!("{}{path}", sink.http_endpoint());
    let kind = "application/x-protobuf";
    assert_eq!(post(url("/v1/metrics"), kind, "identity", metrics().encode_to_vec()).await, 200);
    assert_eq!(post(url("/v1/logs"), kind, "identity", logs().encode_to_vec()).await, 200);
    MetricsServiceClient::connect(sink.grpc_endpoint()).await.unwrap().export(metrics()).await.unwrap();
    LogsServiceClient::connect(sink.grpc_endpoint()).await.unwrap().export(logs()).await.unwrap();

    let point = sink.wait_for_point(|point| point.name == "goblin.chat.duration").await;
    let value = PointValue::Histogram { count: 3, sum: 1.5, bounds: vec![1.0], buckets: vec![2, 1], is_delta: true };
    assert_eq!((point.value, &point.attributes["mode"]), (value, &json!("unary")));
    let log = sink.wait_for_log(|log| log.body == "listening").await;
    assert_eq!((log.trace_id, log.severity.as_str()), (hex::encode([TRACE; 16]), "INFO"));
    assert_eq!((sink.points().len(), sink.logs().len()), (2, 2));
}

#[tokio::test]
async fn counters_say_whether_they_count_since_the_last_report() {
    let sink = OtlpSink::start().await.unwrap();
    for (temporality, value) in [(AggregationTemporality::Delta, 3), (AggregationTemporality::Cumulative, 5)] {
        let point = NumberDataPoint {
            attributes: vec![text("decision", "refused")],
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        let sum = Sum { data_points: vec![point], aggregation_temporality: temporality as i32, is_monotonic: true };
        let metric = Metric {
            name: "goblin.edge.decisions".to_owned(),
            unit: "{decision}".to_owned(),
            data: Some(metric::Data::Sum(sum)),
            ..Metric::default()
        };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
        let resource_metrics =
            vec![ResourceMetrics { resource: Some(resource()), scope_metrics, ..ResourceMetrics::default() }];
        let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        let url = format!("{}/v1/metrics", sink.http_endpoint());
        assert_eq!(post(url, "application/x-protobuf", "identity", body).await, 200);
    }
    let points = sink.wait_for_points(|points| points.len() == 2).await;
    let values: Vec<_> = points.iter().map(|point| point.value.clone()).collect();
    let sum = |value, is_delta| PointValue::Sum { value, is_delta, is_monotonic: true };
    assert_eq!(values, [sum(3.0, true), sum(5.0, false)]);
    assert!(points.iter().all(|point| point.unit == "{decision}" && point.attributes["decision"] == "refused"));
}

#[tokio::test]
async fn what_is_not_otlp_is_refused() {
    let sink = OtlpSink::start().await.unwrap();
    let url = |path: &str| format!("{}{path}", sink.http_endpoint());
    assert_eq!(post(url("/v1/traces"), "application/x-protobuf", "identity", b"nonsense".to_vec()).await, 400);
    assert_eq!(post(url("/v1/traces"), "application/json", "identity", b"{".to_vec()).await, 400);
    assert_eq!(post(url("/v2/traces"), "application/x-protobuf", "identity", Vec::new()).await, 400);
    assert!(sink.spans().is_empty());
}
