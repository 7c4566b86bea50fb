//! Spans: one of kind SERVER for the request, one of kind CLIENT for each attempt at the backend. Named and attributed by
//! the semantic conventions of HTTP.

use goblin_shared::{privacy::may_identify, trace_context::SpanId};

use super::{
    otlp::{Envelope, List, Writer, nanos},
    record::{ErrorType, Interval, RequestRecord, host_and_port},
};
use crate::{
    admit::{Decision, Record},
    config::otlp::Signal,
};

/// Of OTLP's `SpanKind`.
const SERVER: u32 = 2;
const CLIENT: u32 = 3;
/// Of OTLP's `StatusCode`.
const STATUS_ERROR: u32 = 2;
/// Of OTLP's `SpanFlags`.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// What all spans have, but their attributes.
struct Head {
    kind: u32,
    id: SpanId,
    parent: Option<SpanId>,
    interval: Interval,
}

pub(super) fn write_server(writer: &mut Writer, record: &RequestRecord<'_>) {
    let head = Head {
        kind: SERVER,
        id: record.identity.server.parent.span_id,
        parent: record.identity.caller,
        interval: record.server,
    };
    write(writer, record, &head, record.error(), &|writer, list| {
        writer.text(list, "goblin.request.id", &record.identity.request_id.to_string());
        if let Some(scheme) = record.known_scheme() {
            writer.text(list, "url.scheme", scheme);
        }
        writer.integer(list, "http.response.status_code", record.status.into());
        if let Some(path) = record.route_template() {
            writer.text(list, "http.route", path);
            writer.text(list, "url.path", path);
        }
        write_admission(writer, list, record.admission);
        let route = record.route.unwrap_or_default();
        for (key, value) in [
            ("goblin.refusal.code", record.refusal),
            ("goblin.route.reason", route.reason),
            ("goblin.route.first", route.first),
            ("goblin.route.catalogue", route.catalogue),
            ("goblin.trace.grant", record.grant),
        ] {
            if let Some(value) = value {
                writer.text(list, key, value);
            }
        }
    });
}

fn write_admission(writer: &mut Writer, list: List, admission: &Record) {
    if let Some(decision) = admission.decision {
        let (decision, reason) = match decision {
            Decision::Admitted(reason) => ("admitted", reason),
            Decision::Refused(reason) => ("refused", reason),
        };
        writer.text(list, "goblin.admit.decision", decision);
        writer.text(list, "goblin.admit.reason", reason);
    }
    for (key, rules) in
        [("goblin.admit.observed", &admission.observed), ("goblin.admit.unavailable", &admission.lacking)]
    {
        if !rules.is_empty() {
            writer.texts(list, key, rules.iter().map(|rule| rule.as_str()));
        }
    }
    for (key, value) in [
        ("goblin.bot.pattern", admission.pattern),
        ("goblin.admit.detail", admission.detail.as_deref()),
        ("goblin.client.agent", admission.agent.as_deref()),
    ] {
        if let Some(value) = value {
            writer.text(list, key, value);
        }
    }
}

/// The span of the attempt at `index`.
pub(super) fn write_client(writer: &mut Writer, record: &RequestRecord<'_>, index: usize) {
    let attempt = &record.attempts[index];
    let parent = Some(record.identity.server.parent.span_id);
    let head = Head { kind: CLIENT, id: attempt.span, parent, interval: attempt.interval };
    write(writer, record, &head, record.attempt_error(index), &|writer, list| {
        let (host, port) = host_and_port(attempt.authority);
        writer.text(list, "server.address", host);
        if let Some(port) = port {
            writer.integer(list, "server.port", port.into());
        }
        if let Some(path) = record.route_template() {
            writer.text(list, "url.template", path);
        }
        if let Some(status) = attempt.status {
            writer.integer(list, "http.response.status_code", status.into());
        }
        if index > 0 {
            writer.integer(list, "http.request.resend_count", index as u64);
        }
    });
}

fn write(
    writer: &mut Writer,
    record: &RequestRecord<'_>,
    head: &Head,
    error: Option<ErrorType>,
    attributes: &dyn Fn(&mut Writer, List),
) {
    let context = &record.identity.server;
    let remote = if head.kind == SERVER && head.parent.is_some() { IS_REMOTE } else { 0 };
    let span = writer.begin_item(Envelope::items_field(Signal::Traces));
    writer.id((1, "traceId"), &context.parent.trace_id.to_bytes());
    writer.id((2, "spanId"), &head.id.to_bytes());
    // What callers say of themselves goes on to the backend, but not out of here if it may say who they are.
    let state = context.state.to_string();
    if !state.is_empty() && !may_identify(&state) {
        writer.string((3, "traceState"), &state);
    }
    if let Some(parent) = head.parent {
        writer.id((4, "parentSpanId"), &parent.to_bytes());
    }
    // OpenTelemetry's HTTP conventions name the spans `{method} {route}`, and unknown methods `HTTP`.
    let method = record.known_method();
    let method = if method == "_OTHER" { "HTTP" } else { method };
    match record.route_template() {
        Some(route) => writer.string((5, "name"), &[method, " ", route].concat()),
        None => writer.string((5, "name"), method),
    }
    writer.number((6, "kind"), head.kind);
    writer.fixed64((7, "startTimeUnixNano"), nanos(head.interval.start));
    writer.fixed64((8, "endTimeUnixNano"), nanos(head.interval.end.max(head.interval.start)));
    let list = writer.begin_list((9, "attributes"));
    writer.text(list, "http.request.method", record.known_method());
    attributes(writer, list);
    match error {
        Some(ErrorType::Named(name)) => writer.text(list, "error.type", name),
        Some(ErrorType::Status(status)) => writer.text(list, "error.type", &status.to_string()),
        None => {}
    }
    writer.end_list(list);
    if error.is_some() {
        let status = writer.begin((15, "status"));
        writer.number((3, "code"), STATUS_ERROR);
        writer.end(status);
    }
    writer.fixed32((16, "flags"), u32::from(context.parent.flags.bits()) | HAS_IS_REMOTE | remote);
    writer.end(span);
}
