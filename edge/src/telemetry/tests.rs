//! What is sent, read by others: OpenTelemetry's own message types, from protobuf and from JSON.

mod exporting;
mod formats;
mod logs;
mod metrics;
mod spans;

use std::fmt::Debug;

use goblin_shared::{api::Api, trace_context::SpanId};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use serde::de::DeserializeOwned;

use super::*;
use crate::{admit::Record, facts::RequestFacts, identify::Identity, identify::identify, preflight::Endpoint};

/// When requests of these tests begin.
const START: f64 = 1_800_000_000_000.5;

fn config(protocol: Protocol) -> OtlpConfig {
    let signal = |name: &str, delay_ms| {
        Some(SignalConfig { url: format!("http://c/v1/{name}"), delay_ms, queue_items: 2_048, batch_items: 512 })
    };
    OtlpConfig {
        traces: signal("traces", 5_000),
        metrics: signal("metrics", 5_000),
        logs: signal("logs", 1_000),
        protocol,
        gzip: true,
        headers: vec![],
        timeout_ms: 10_000,
        resource: vec![("service.name".into(), "edge-test".into()), ("quoted".into(), "\"ä\"".into())],
    }
}

fn identity() -> Identity {
    let parent = "00-12345678901234567890123456789012-1234567890123456-00";
    let fields = vec![("traceparent".into(), parent.into()), ("tracestate".into(), "foo=1".into())];
    let facts = RequestFacts { fields, ..RequestFacts::default() };
    identify(&facts, 1_000, &[7; 42], None)
}

static ADMITTED: Record = Record {
    decision: Some(crate::admit::Decision::Admitted("api_key")),
    observed: Vec::new(),
    lacking: Vec::new(),
    pattern: None,
    detail: None,
    agent: None,
};

fn attempt(byte: u8) -> Forwarded<'static> {
    Forwarded {
        span: SpanId::from_bytes([byte; 8]).unwrap(),
        interval: Interval { start: START + 1.0, end: START + 9.0 },
        status: Some(200),
        authority: "backend.example:8080",
        error: None,
    }
}

fn record<'a>(identity: &'a Identity, attempts: &'a [Forwarded<'a>]) -> RequestRecord<'a> {
    RequestRecord {
        identity,
        sampled: true,
        method: "POST",
        scheme: "https",
        endpoint: Some(Endpoint::Post(Api::ChatCompletions)),
        server: Interval { start: START, end: START + 10.0 },
        overhead_ms: 2.0,
        status: 200,
        admission: &ADMITTED,
        grant: None,
        route: None,
        refusal: None,
        cause: None,
        attempts,
        ending: Ending::Complete,
    }
}

/// The body of the next batch of a signal.
fn body(telemetry: &mut Telemetry, signal: Signal, now: f64) -> Option<Vec<u8>> {
    let turn = telemetry.claim(signal, now)?;
    let batch = telemetry.take(&turn, now + f64::from(turn.wait_ms))?;
    telemetry.settle(&batch, Outcome::Accepted { rejected: 0 }, now);
    Some(batch.body)
}

/// What both formats say, once it is sure that they say the same and that the protobuf is as prost would write it.
fn agreed<M: Message + Default + PartialEq + DeserializeOwned + Debug>(
    signal: Signal,
    tell: &dyn Fn(&mut Telemetry),
) -> Option<M> {
    let body_in = |protocol| {
        let mut telemetry = Telemetry::new(&config(protocol), "instance");
        tell(&mut telemetry);
        body(&mut telemetry, signal, START + 10.0)
    };
    let (protobuf, json) = (body_in(Protocol::Protobuf)?, body_in(Protocol::Json)?);
    let read = M::decode(protobuf.as_slice()).expect("protobuf");
    let text = String::from_utf8(json).expect("UTF-8");
    assert_eq!(serde_json::from_str::<M>(&text).unwrap_or_else(|error| panic!("{error}: {text}")), read);
    assert_eq!(read.encode_to_vec(), protobuf, "lengths, order and what is left out are canonical");
    Some(read)
}

fn spans(record: &RequestRecord<'_>) -> Vec<Span> {
    let sent = agreed::<ExportTraceServiceRequest>(Signal::Traces, &|telemetry| telemetry.record(record));
    sent.map(|mut sent| sent.resource_spans.remove(0).scope_spans.remove(0).spans).unwrap_or_default()
}

fn logs(tell: &dyn Fn(&mut Telemetry)) -> Vec<LogRecord> {
    let sent = agreed::<ExportLogsServiceRequest>(Signal::Logs, tell);
    sent.map(|mut sent| sent.resource_logs.remove(0).scope_logs.remove(0).log_records).unwrap_or_default()
}

fn metrics(tell: &dyn Fn(&mut Telemetry)) -> Vec<Metric> {
    let sent = agreed::<ExportMetricsServiceRequest>(Signal::Metrics, tell);
    sent.map(|mut sent| sent.resource_metrics.remove(0).scope_metrics.remove(0).metrics).unwrap_or_default()
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn string(text: &str) -> Value {
    Value::StringValue(text.into())
}
