//! What the edge tells, as OTLP: spans here, counts in `metrics`.
//!
//! The SDK's exporter and span processors need threads and a clock that workerd does not have, so only the message
//! types of OpenTelemetry are used; sending is the platform's.

mod metrics;
mod otlp;

use goblin_shared::trace_context::{SpanId, TraceContext, TraceParent};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status, span::SpanKind, status::StatusCode},
};
use prost::Message;

pub use self::metrics::Counts;
use self::otlp::{nanos, number, resource, scope, text, texts};
use crate::{
    admit::{Decision, Record},
    config::OtlpConfig,
    identify::Identity,
    preflight::Endpoint,
};

/// When something began and ended, in milliseconds since 1970, as finely as the platform tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// Begin.
    pub start: f64,
    /// End.
    pub end: f64,
}

/// One request, as its spans tell it.
#[derive(Clone, Debug)]
pub struct RequestRecord<'a> {
    /// Id and trace.
    pub identity: &'a Identity,
    /// HTTP method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The endpoint; `None` for an unknown path, which is not recorded as it may hold anything.
    pub endpoint: Option<Endpoint>,
    /// From the request's arrival to the end of the answer's body.
    pub server: Interval,
    /// What the client got.
    pub status: u16,
    /// What was decided at the door.
    pub admission: &'a Record,
    /// Code of the edge's own refusal, if it refused.
    pub refusal: Option<&'static str>,
    /// The fetch to the backend, if it came to that.
    pub forwarded: Option<Forwarded>,
    /// How the answer's body ended.
    pub ending: Ending,
}

/// The fetch to the backend.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// From the fetch to the end of the body.
    pub interval: Interval,
    /// What the backend answered; `None` when it did not.
    pub status: Option<u16>,
    /// Host and port of the backend.
    pub authority: String,
}

/// How the answer's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Whole.
    Complete,
    /// The client left.
    ClientLeft,
    /// The backend broke off.
    Broken,
}

impl Ending {
    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Complete => None,
            Self::ClientLeft => Some("client_left"),
            Self::Broken => Some("backend_broke_off"),
        }
    }
}

/// Encodes the spans of one request as the protobuf body of an OTLP/HTTP export.
#[must_use]
pub fn encode(otlp: &OtlpConfig, instance: &str, record: &RequestRecord<'_>) -> Vec<u8> {
    let mut spans = vec![server_span(record)];
    spans.extend(record.forwarded.as_ref().map(|forwarded| client_span(record, forwarded)));
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(otlp, instance)),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    };
    request.encode_to_vec()
}

fn server_span(record: &RequestRecord<'_>) -> Span {
    let mut attributes = request_attributes(record);
    attributes.push(text("goblin.request.id", &record.identity.request_id.to_string()));
    attributes.push(text("url.scheme", record.scheme));
    attributes.push(number("http.response.status_code", record.status));
    if let Some(endpoint) = record.endpoint {
        attributes.push(text("http.route", endpoint.path()));
        attributes.push(text("url.path", endpoint.path()));
    }
    attributes.extend(admission_attributes(record.admission));
    attributes.extend(record.refusal.map(|code| text("goblin.refusal.code", code)));
    let status_code = record.status.to_string();
    let error = (record.status >= 500)
        .then(|| record.refusal.unwrap_or(&status_code))
        .or_else(|| record.ending.error_type().filter(|_| record.ending == Ending::Broken));
    span(record, SpanKind::Server, &record.identity.server, record.identity.caller, record.server, attributes, error)
}

fn admission_attributes(admission: &Record) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if let Some(decision) = admission.decision {
        let (decision, reason) = match decision {
            Decision::Admitted(reason) => ("admitted", reason),
            Decision::Refused(reason) => ("refused", reason),
        };
        attributes.extend([text("goblin.admit.decision", decision), text("goblin.admit.reason", reason)]);
    }
    for (key, rules) in
        [("goblin.admit.observed", &admission.observed), ("goblin.admit.unavailable", &admission.lacking)]
    {
        if !rules.is_empty() {
            attributes.push(texts(key, rules.iter().map(|rule| rule.as_str())));
        }
    }
    attributes.extend(admission.pattern.map(|pattern| text("goblin.bot.pattern", pattern)));
    attributes.extend(admission.detail.as_deref().map(|detail| text("goblin.admit.detail", detail)));
    attributes.extend(admission.agent.as_deref().map(|agent| text("goblin.client.agent", agent)));
    attributes
}

fn client_span(record: &RequestRecord<'_>, forwarded: &Forwarded) -> Span {
    let mut attributes = request_attributes(record);
    let (host, port) = host_and_port(&forwarded.authority);
    attributes.push(text("server.address", host));
    attributes.extend(port.map(|port| number("server.port", port)));
    attributes.extend(record.endpoint.map(|endpoint| text("url.template", endpoint.path())));
    attributes.extend(forwarded.status.map(|status| number("http.response.status_code", status)));
    let status_code = forwarded.status.map(|status| status.to_string()).unwrap_or_default();
    let error = match forwarded.status {
        None => record.refusal.or(record.ending.error_type()).or(Some("backend_unreachable")),
        Some(400..) => Some(status_code.as_str()),
        Some(_) => record.ending.error_type(),
    };
    span(
        record,
        SpanKind::Client,
        &record.identity.client,
        Some(record.identity.server.parent.span_id),
        forwarded.interval,
        attributes,
        error,
    )
}

fn request_attributes(record: &RequestRecord<'_>) -> Vec<KeyValue> {
    vec![text("http.request.method", known_method(record.method))]
}

/// OpenTelemetry's HTTP conventions name the spans `{method} {route}`, and unknown methods `HTTP`.
fn name(record: &RequestRecord<'_>) -> String {
    let method = match known_method(record.method) {
        "_OTHER" => "HTTP",
        method => method,
    };
    record.endpoint.map_or_else(|| method.to_owned(), |endpoint| format!("{method} {}", endpoint.path()))
}

fn known_method(method: &str) -> &str {
    match method {
        "CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT" | "QUERY" | "TRACE" => method,
        _ => "_OTHER",
    }
}

fn span(
    record: &RequestRecord<'_>,
    kind: SpanKind,
    context: &TraceContext,
    parent: Option<SpanId>,
    interval: Interval,
    mut attributes: Vec<KeyValue>,
    error: Option<&str>,
) -> Span {
    attributes.extend(error.map(|error| text("error.type", error)));
    let TraceParent { trace_id, span_id, flags } = context.parent;
    let remote = if kind == SpanKind::Server && parent.is_some() { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    Span {
        trace_id: trace_id.to_bytes().to_vec(),
        span_id: span_id.to_bytes().to_vec(),
        trace_state: context.state.to_string(),
        parent_span_id: parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(flags.bits()) | (SpanFlags::ContextHasIsRemoteMask as u32) | remote,
        name: name(record),
        kind: kind.into(),
        start_time_unix_nano: nanos(interval.start),
        end_time_unix_nano: nanos(interval.end.max(interval.start)),
        attributes,
        status: error.map(|_| Status { code: StatusCode::Error.into(), message: String::new() }),
        ..Span::default()
    }
}

fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    use super::*;
    use crate::{admit::Rule, facts::RequestFacts, identify::identify};

    pub(super) fn otlp() -> OtlpConfig {
        OtlpConfig {
            traces_url: None,
            metrics_url: None,
            metric_interval_ms: 1,
            headers: vec![],
            service_name: "edge-test".into(),
        }
    }

    fn identity() -> Identity {
        let parent = "00-12345678901234567890123456789012-1234567890123456-00";
        let facts = RequestFacts { fields: vec![("traceparent".into(), parent.into())], ..RequestFacts::default() };
        identify(&facts, 1_000, &[7; 42])
    }

    static ADMITTED: Record = Record {
        decision: Some(Decision::Admitted("api_key")),
        observed: Vec::new(),
        lacking: Vec::new(),
        pattern: None,
        detail: None,
        agent: None,
    };

    fn record(identity: &Identity) -> RequestRecord<'_> {
        RequestRecord {
            identity,
            method: "POST",
            scheme: "https",
            endpoint: Some(Endpoint::ChatCompletions),
            server: Interval { start: 1_800_000_000_000.5, end: 1_800_000_000_010.0 },
            status: 200,
            admission: &ADMITTED,
            refusal: None,
            forwarded: Some(Forwarded {
                interval: Interval { start: 1_800_000_000_001.0, end: 1_800_000_000_009.0 },
                status: Some(200),
                authority: "backend.example:8080".into(),
            }),
            ending: Ending::Complete,
        }
    }

    fn spans(record: &RequestRecord<'_>) -> Vec<Span> {
        let mut request = ExportTraceServiceRequest::decode(encode(&otlp(), "instance", record).as_slice()).unwrap();
        request.resource_spans.remove(0).scope_spans.remove(0).spans
    }

    fn value<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
        span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
    }

    #[test]
    fn spans_form_a_chain_under_the_caller() {
        let identity = identity();
        let spans = spans(&record(&identity));
        let [server, client] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(server.parent_span_id, [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56]);
        assert_eq!(client.parent_span_id, server.span_id);
        assert_eq!(client.trace_id, server.trace_id);
        assert_eq!((server.kind(), client.kind()), (SpanKind::Server, SpanKind::Client));
        assert_eq!(server.name, "POST /v1/chat/completions");
        assert_eq!(server.start_time_unix_nano, 1_800_000_000_000_500_000);
        assert_eq!(value(client, "server.port"), Some(&Value::IntValue(8080)));
        assert_eq!(server.status, None);
    }

    #[test]
    fn what_fails_is_an_error_in_the_spans_that_failed() {
        let identity = identity();
        let mut broken = record(&identity);
        broken.ending = Ending::Broken;
        for span in spans(&broken) {
            assert_eq!(value(&span, "error.type"), Some(&Value::StringValue("backend_broke_off".into())));
        }
        let mut left = record(&identity);
        left.ending = Ending::ClientLeft;
        let left = spans(&left);
        assert_eq!((left[0].status.is_some(), left[1].status.is_some()), (false, true));

        let mut early = record(&identity);
        (early.status, early.ending) = (499, Ending::ClientLeft);
        early.forwarded = early.forwarded.map(|forwarded| Forwarded { status: None, ..forwarded });
        let early = spans(&early);
        assert_eq!(early[0].status, None, "leaving before the head is no failure of the server either");
        assert_eq!(value(&early[1], "error.type"), Some(&Value::StringValue("client_left".into())));

        let mut refused = record(&identity);
        (refused.status, refused.refusal, refused.forwarded) = (415, Some("unsupported_media_type"), None);
        let refused = spans(&refused);
        assert_eq!((refused.len(), refused[0].status.is_some()), (1, false));

        let mut unreachable = record(&identity);
        (unreachable.status, unreachable.refusal) = (503, Some("backend_unreachable"));
        unreachable.forwarded = unreachable.forwarded.map(|forwarded| Forwarded { status: None, ..forwarded });
        for span in spans(&unreachable) {
            assert_eq!(value(&span, "error.type"), Some(&Value::StringValue("backend_unreachable".into())));
        }
    }

    #[test]
    fn what_was_decided_at_the_door_is_told() {
        let identity = identity();
        let admitted = &spans(&record(&identity))[0];
        let string = |text: &str| Value::StringValue(text.into());
        assert_eq!(value(admitted, "goblin.admit.decision"), Some(&string("admitted")));
        assert_eq!(value(admitted, "goblin.admit.reason"), Some(&string("api_key")));
        assert_eq!(value(admitted, "goblin.admit.observed"), None);
        let refusal = Record {
            decision: Some(Decision::Refused("crawler")),
            observed: vec![Rule::ScriptedTool, Rule::BotScore],
            lacking: vec![Rule::KeyLimit],
            pattern: Some("AhrefsBot"),
            detail: Some("missing_accept".into()),
            agent: Some("https://agent.example".into()),
        };
        let refused = RequestRecord { admission: &refusal, ..record(&identity) };
        let refused = &spans(&refused)[0];
        assert_eq!(value(refused, "goblin.admit.decision"), Some(&string("refused")));
        assert_eq!(value(refused, "goblin.bot.pattern"), Some(&string("AhrefsBot")));
        assert_eq!(value(refused, "goblin.admit.detail"), Some(&string("missing_accept")));
        assert_eq!(value(refused, "goblin.client.agent"), Some(&string("https://agent.example")));
        let observed = format!("{:?}", value(refused, "goblin.admit.observed"));
        assert!(observed.contains("scripted_tool") && observed.contains("bot_score"), "{observed}");
        assert!(format!("{:?}", value(refused, "goblin.admit.unavailable")).contains("key_limit"));
    }

    #[test]
    fn unknown_paths_and_methods_are_not_recorded() {
        let identity = identity();
        let mut odd = record(&identity);
        (odd.endpoint, odd.method, odd.forwarded) = (None, "SECRET", None);
        let spans = spans(&odd);
        assert_eq!(spans[0].name, "HTTP");
        assert_eq!(value(&spans[0], "url.path"), None);
        assert_eq!(value(&spans[0], "http.request.method"), Some(&Value::StringValue("_OTHER".into())));
    }
}
