//! Protobuf and JSON say the same of anything, and others read them.

use proptest::prelude::*;

use super::*;
use crate::admit::{Decision, Rule};

/// Any text, and often what JSON has to escape or UTF-8 writes long.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\\x00-\\x1f\"\\\\/\u{7f}\u{2028}\u{ffff}🙂ä{}\\[\\],:]{0,12}", any::<String>(), Just("x".repeat(200))]
}

#[derive(Clone, Debug)]
struct Texts {
    detail: String,
    agent: Option<String>,
    cause: Option<String>,
    reason: Option<String>,
    first: String,
    authority: String,
}

fn texts() -> impl Strategy<Value = Texts> {
    let some = || proptest::option::of(text());
    (text(), some(), some(), some(), text(), text()).prop_map(|(detail, agent, cause, reason, first, authority)| {
        Texts { detail, agent, cause, reason, first, authority }
    })
}

proptest! {
    #[test]
    fn both_formats_say_the_same_of_any_request(
        texts in texts(),
        status in 100..600_u16,
        refusal in proptest::option::of(Just("bot_refused")),
        statuses in proptest::collection::vec(proptest::option::of(100..600_u16), 0..4),
        ending in prop_oneof![Just(Ending::Complete), Just(Ending::ClientLeft), Just(Ending::Broken)],
        (start, millis) in (0.0..4e12_f64, -10.0..1e6_f64),
    ) {
        let identity = identity();
        let attempts: Vec<_> = statuses
            .iter()
            .map(|status| Forwarded {
                status: *status,
                authority: &texts.authority,
                interval: Interval { start, end: start + millis / 2.0 },
                ..attempt(3)
            })
            .collect();
        let admission = Record {
            decision: Some(Decision::Refused("crawler")),
            observed: vec![Rule::BotScore],
            detail: Some(texts.detail.clone()),
            agent: texts.agent.clone(),
            ..Record::default()
        };
        let route = RouteFacts { reason: texts.reason.as_deref(), first: Some(&texts.first), catalogue: Some("1") };
        let request = RequestRecord {
            server: Interval { start, end: start + millis },
            overhead_ms: millis,
            status,
            admission: &admission,
            refusal,
            cause: texts.cause.as_deref(),
            route: Some(route),
            ending,
            ..record(&identity, &attempts)
        };
        // The comparison is in these: each reads both formats.
        let spans = spans(&request);
        prop_assert_eq!(spans.len(), 1 + attempts.len());
        prop_assert_eq!(value(&spans[0].attributes, "goblin.admit.detail"), Some(&string(&texts.detail)));
        prop_assert_eq!(value(&spans[0].attributes, "goblin.route.first"), Some(&string(&texts.first)));
        let logged = logs(&|telemetry| telemetry.record(&request));
        prop_assert_eq!(logged.len(), usize::from(request.failed() || refusal.is_some()));
        let measured = metrics(&|telemetry| telemetry.record(&request));
        prop_assert!(measured.len() >= 3);
    }

    #[test]
    fn a_line_for_the_runtimes_log_is_one_line_of_json(message in text()) {
        let line = LogLine::new(Severity::Warn, &message, START, None).to_json();
        prop_assert!(!line.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(read["message"].as_str().unwrap_or_default(), message);
    }
}

#[test]
fn the_resource_and_the_scope_say_who_tells() {
    let identity = identity();
    let sent =
        agreed::<ExportTraceServiceRequest>(Signal::Traces, &|telemetry| telemetry.record(&record(&identity, &[])));
    let sent = &sent.unwrap().resource_spans[0];
    let resource = &sent.resource.as_ref().unwrap().attributes;
    assert_eq!(value(resource, "service.name"), Some(&string("edge-test")));
    assert_eq!(value(resource, "service.instance.id"), Some(&string("instance")));
    assert_eq!(value(resource, "quoted"), Some(&string("\"ä\"")));
    let scope = sent.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("goblin-edge", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_batch_holds_all_that_waits_in_order() {
    let lines = logs(&|telemetry| {
        for index in 0..300 {
            telemetry.log(&LogLine::new(Severity::Info, "", f64::from(index) + 1.0, None));
        }
    });
    let times: Vec<_> = lines.iter().map(|line| line.time_unix_nano / 1_000_000).collect();
    assert_eq!(times, (1..=300).collect::<Vec<_>>());
}

#[test]
fn json_spells_ids_in_hex_and_long_numbers_as_texts() {
    let identity = identity();
    let mut telemetry = Telemetry::new(&config(Protocol::Json), "instance");
    telemetry.record(&record(&identity, &[]));
    let body = body(&mut telemetry, Signal::Traces, START).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let span = &read["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "12345678901234567890123456789012");
    assert_eq!(span["startTimeUnixNano"], "1800000000000500000");
    assert_eq!(span["kind"], 2);
    let status = span["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == "http.response.status_code");
    assert_eq!(status.unwrap()["value"]["intValue"], "200");
}
