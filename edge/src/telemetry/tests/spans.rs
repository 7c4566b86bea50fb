//! Spans.

use goblin_shared::conversation::ConversationPath;
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};

use super::*;
use crate::admit::{Decision, Rule};

#[test]
fn spans_form_a_chain_under_the_caller() {
    let (identity, attempts) = (identity(), [attempt(1)]);
    let spans = spans(&record(&identity, &attempts));
    let [server, client] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(server.parent_span_id, [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56]);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!((&client.trace_id, client.span_id.as_slice()), (&server.trace_id, &[1; 8][..]));
    assert_eq!((server.kind(), client.kind()), (SpanKind::Server, SpanKind::Client));
    assert_eq!((server.flags, client.flags), (0x301, 0x101), "the caller is remote, the server span is not");
    assert_eq!((server.trace_state.as_str(), client.trace_state.as_str()), ("foo=1", "foo=1"));
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(server.start_time_unix_nano, 1_800_000_000_000_500_000);
    assert_eq!(value(&client.attributes, "server.address"), Some(&string("backend.example")));
    assert_eq!(value(&client.attributes, "server.port"), Some(&Value::IntValue(8080)));
    assert_eq!(server.status, None);
}

#[test]
fn each_endpoint_has_its_own_route() {
    let identity = identity();
    for (endpoint, method, path) in [
        (Endpoint::Post(Api::Messages), "POST", "/v1/messages"),
        (Endpoint::Post(Api::Embeddings), "POST", "/v1/embeddings"),
        (Endpoint::OpenapiJson, "GET", "/openapi.json"),
        (Endpoint::Conversations(ConversationPath::Turns), "GET", "/v1/conversations/{id}/turns"),
    ] {
        let mut request = record(&identity, &[]);
        (request.endpoint, request.method) = (Some(endpoint), method);
        let spans = spans(&request);
        assert_eq!(spans[0].name, format!("{method} {path}"));
        assert_eq!(value(&spans[0].attributes, "http.route"), Some(&string(path)));
    }
}

#[test]
fn each_attempt_has_a_span_and_says_which_it_is() {
    let identity = identity();
    let attempts = [Forwarded { status: None, error: Some("backend_unreachable"), ..attempt(1) }, attempt(2)];
    let mut request = record(&identity, &attempts);
    request.ending = Ending::ClientLeft;
    let spans = spans(&request);
    let told = |index: usize, key| value(&spans[index].attributes, key);
    assert_eq!((spans.len(), told(1, "http.request.resend_count")), (3, None));
    assert_eq!(told(2, "http.request.resend_count"), Some(&Value::IntValue(1)));
    assert_eq!(told(1, "error.type"), Some(&string("backend_unreachable")));
    assert_eq!(told(2, "error.type"), Some(&string("client_left")), "the ending is the last attempt's");
    assert_eq!(told(0, "error.type"), None);
}

#[test]
fn what_fails_is_an_error_in_the_spans_that_failed() {
    let (identity, attempts) = (identity(), [attempt(1)]);
    let unanswered = [Forwarded { status: None, ..attempt(1) }];
    let mut broken = record(&identity, &attempts);
    broken.ending = Ending::Broken;
    for span in spans(&broken) {
        assert_eq!(value(&span.attributes, "error.type"), Some(&string("backend_broke_off")));
        assert_eq!(span.status.unwrap().code(), StatusCode::Error);
    }
    let mut left = record(&identity, &attempts);
    left.ending = Ending::ClientLeft;
    let left = spans(&left);
    assert_eq!((left[0].status.is_some(), left[1].status.is_some()), (false, true));

    let mut early = record(&identity, &unanswered);
    (early.status, early.ending) = (499, Ending::ClientLeft);
    let early = spans(&early);
    assert_eq!(early[0].status, None, "leaving before the head is no failure of the server either");
    assert_eq!(value(&early[1].attributes, "error.type"), Some(&string("client_left")));

    let mut refused = record(&identity, &[]);
    (refused.status, refused.refusal) = (415, Some("unsupported_media_type"));
    let refused = spans(&refused);
    assert_eq!((refused.len(), refused[0].status.is_some()), (1, false));

    let mut unreachable = record(&identity, &unanswered);
    (unreachable.status, unreachable.refusal) = (503, Some("backend_unreachable"));
    for span in spans(&unreachable) {
        assert_eq!(value(&span.attributes, "error.type"), Some(&string("backend_unreachable")));
    }

    let theirs = [Forwarded { status: Some(502), ..attempt(1) }];
    let theirs = RequestRecord { status: 502, ..record(&identity, &theirs) };
    for span in spans(&theirs) {
        assert_eq!(value(&span.attributes, "error.type"), Some(&string("502")));
    }
}

#[test]
fn what_was_decided_is_told() {
    let identity = identity();
    let admitted = &spans(&record(&identity, &[]))[0].attributes;
    assert_eq!(value(admitted, "goblin.admit.decision"), Some(&string("admitted")));
    assert_eq!(value(admitted, "goblin.admit.reason"), Some(&string("api_key")));
    for absent in ["goblin.admit.observed", "goblin.route.first", "goblin.trace.grant", "goblin.refusal.code"] {
        assert_eq!(value(admitted, absent), None);
    }
    let refusal = Record {
        decision: Some(Decision::Refused("crawler")),
        observed: vec![Rule::ScriptedTool, Rule::BotScore],
        lacking: vec![Rule::KeyLimit],
        pattern: Some("AhrefsBot"),
        detail: Some("missing_accept".into()),
        agent: Some("https://agent.example".into()),
    };
    let route = RouteFacts { reason: Some("alias"), first: Some("openai/gpt"), catalogue: Some("7") };
    let refused = RequestRecord {
        admission: &refusal,
        refusal: Some("bot_refused"),
        grant: Some("expired"),
        route: Some(route),
        status: 403,
        ..record(&identity, &[])
    };
    let refused = &spans(&refused)[0].attributes;
    for (key, text) in [
        ("goblin.admit.decision", "refused"),
        ("goblin.bot.pattern", "AhrefsBot"),
        ("goblin.admit.detail", "missing_accept"),
        ("goblin.client.agent", "https://agent.example"),
        ("goblin.refusal.code", "bot_refused"),
        ("goblin.route.reason", "alias"),
        ("goblin.route.first", "openai/gpt"),
        ("goblin.route.catalogue", "7"),
        ("goblin.trace.grant", "expired"),
    ] {
        assert_eq!(value(refused, key), Some(&string(text)), "{key}");
    }
    let observed = format!("{:?}", value(refused, "goblin.admit.observed"));
    assert!(observed.contains("scripted_tool") && observed.contains("bot_score"), "{observed}");
    assert!(format!("{:?}", value(refused, "goblin.admit.unavailable")).contains("key_limit"));
}

#[test]
fn unknown_paths_methods_and_schemes_are_not_recorded() {
    let identity = identity();
    let mut odd = record(&identity, &[]);
    (odd.endpoint, odd.method, odd.scheme) = (None, "SECRET", "secret");
    let spans = spans(&odd);
    assert_eq!(spans[0].name, "HTTP");
    assert_eq!(value(&spans[0].attributes, "url.path"), None);
    assert_eq!(value(&spans[0].attributes, "http.request.method"), Some(&string("_OTHER")));
    assert_eq!(value(&spans[0].attributes, "url.scheme"), None);
}

#[test]
fn of_unsampled_requests_only_failures_have_spans() {
    let (identity, attempts) = (identity(), [attempt(1)]);
    let unsampled = RequestRecord { sampled: false, ..record(&identity, &attempts) };
    assert_eq!(spans(&unsampled).len(), 0);
    let refused = RequestRecord { status: 429, refusal: Some("rate_limit_exceeded"), ..unsampled.clone() };
    assert_eq!(spans(&refused).len(), 0);
    let broken = RequestRecord { ending: Ending::Broken, ..unsampled.clone() };
    let failed = RequestRecord { status: 503, ..unsampled };
    assert_eq!((spans(&broken).len(), spans(&failed).len()), (2, 2));
}
