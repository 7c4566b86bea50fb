//! Log records, and the same lines for the runtime's own log.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;

use super::*;
use crate::admit::Decision;

fn of(record: &RequestRecord<'_>) -> Vec<LogRecord> {
    logs(&|telemetry| telemetry.record(record))
}

fn body_text(record: &LogRecord) -> &Value {
    record.body.as_ref().and_then(|body| body.value.as_ref()).expect("a body")
}

static REFUSED: Record = Record {
    decision: Some(Decision::Refused("crawler")),
    observed: Vec::new(),
    lacking: Vec::new(),
    pattern: None,
    detail: None,
    agent: None,
};

#[test]
fn a_refusal_is_a_warning_in_its_trace() {
    let identity = identity();
    let refused =
        RequestRecord { status: 403, refusal: Some("bot_refused"), admission: &REFUSED, ..record(&identity, &[]) };
    let records = of(&refused);
    let [line] = &records[..] else { panic!("{records:?}") };
    assert_eq!((line.severity_number(), line.severity_text.as_str()), (SeverityNumber::Warn, "WARN"));
    assert_eq!(body_text(line), &string("request refused: bot_refused"));
    assert_eq!(line.event_name, "goblin.edge.refusal");
    assert_eq!(line.time_unix_nano, 1_800_000_000_010_500_000);
    assert_eq!(line.trace_id, identity.server.parent.trace_id.to_bytes());
    assert_eq!((line.span_id.as_slice(), line.flags), (&identity.server.parent.span_id.to_bytes()[..], 1));
    for (key, expected) in [
        ("goblin.request.id", string(&identity.request_id.to_string())),
        ("http.response.status_code", Value::IntValue(403)),
        ("error.type", string("bot_refused")),
        ("goblin.refusal.code", string("bot_refused")),
        ("goblin.admit.reason", string("crawler")),
        ("http.route", string("/v1/chat/completions")),
    ] {
        assert_eq!(value(&line.attributes, key), Some(&expected), "{key}");
    }
}

#[test]
fn a_failure_is_an_error_with_its_cause() {
    let (identity, attempts) = (identity(), [attempt(1)]);
    let failed = RequestRecord {
        status: 503,
        refusal: Some("backend_unreachable"),
        cause: Some("connection refused"),
        ..record(&identity, &attempts)
    };
    let line = &of(&failed)[0];
    assert_eq!((line.severity_number(), line.event_name.as_str()), (SeverityNumber::Error, "goblin.edge.failure"));
    assert_eq!(body_text(line), &string("request failed: connection refused"));

    let broken = RequestRecord { ending: Ending::Broken, ..record(&identity, &attempts) };
    let line = &of(&broken)[0];
    assert_eq!(value(&line.attributes, "error.type"), Some(&string("backend_broke_off")));
    assert_eq!(value(&line.attributes, "goblin.refusal.code"), None);
}

#[test]
fn what_went_well_is_not_logged_nor_is_a_client_that_left() {
    let (identity, attempts) = (identity(), [attempt(1)]);
    assert_eq!(of(&record(&identity, &attempts)), []);
    let left = RequestRecord { ending: Ending::ClientLeft, status: 499, ..record(&identity, &attempts) };
    assert_eq!(of(&left), []);
    let theirs = RequestRecord { status: 400, ..record(&identity, &attempts) };
    assert_eq!(of(&theirs), [], "the backend refused it, and logs it");
}

#[test]
fn unsampled_refusals_are_logged_too() {
    let identity = identity();
    let refused = RequestRecord { sampled: false, status: 403, refusal: Some("bot_refused"), ..record(&identity, &[]) };
    assert_eq!(of(&refused).len(), 1);
}

#[test]
fn other_lines_need_no_request_and_have_a_bound() {
    let long = "ä".repeat(4_000);
    let line = &logs(&|telemetry| telemetry.log(&LogLine::new(Severity::Info, &long, START, None)))[0];
    assert_eq!((line.severity_number(), line.trace_id.len(), line.flags), (SeverityNumber::Info, 0, 0));
    assert_eq!(body_text(line), &string(&"ä".repeat(2_048)));
    assert_eq!(line.event_name, "");
}

#[test]
fn the_runtimes_log_gets_one_json_line() {
    let identity = identity();
    let refused =
        RequestRecord { status: 403, refusal: Some("bot_refused"), admission: &REFUSED, ..record(&identity, &[]) };
    let line = LogLine::of_request(&refused).unwrap().to_json();
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        read,
        serde_json::json!({
            "level": "WARN",
            "message": "request refused: bot_refused",
            "request_id": identity.request_id.to_string(),
            "trace_id": "12345678901234567890123456789012",
            "span_id": identity.server.parent.span_id.to_string(),
            "trace_flags": "01",
            "status": 403,
            "code": "bot_refused",
            "reason": "crawler",
        })
    );
    let line = LogLine::new(Severity::Error, "a \"b\"\nc", START, None).to_json();
    assert_eq!(line, r#"{"level":"ERROR","message":"a \"b\"\u000ac"}"#);
}
