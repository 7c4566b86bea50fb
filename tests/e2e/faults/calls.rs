//! The calls that a request made, as its trace tells them.

use goblin_tests::otlp_sink::{Span, SpanKind, SpanStatus, dump};
use serde_json::Value;

use super::{
    asking::{Asked, End},
    bench::Bench,
};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// The provider's key in the catalogue.
    pub(super) provider: String,
    /// The attribute `error.type`; none of a call that did well.
    pub(super) error_type: Option<String>,
}

/// The calls of a request in their order. Panics when its spans do not belong together, or say something else than what
/// the client saw.
pub(super) async fn calls(bench: &Bench<'_>, asked: &Asked) -> Vec<Called> {
    // Spans of calls end before the one of their request, and leave before it or with it.
    let is_complete = |spans: &[Span]| spans.iter().any(|span| span.kind == SpanKind::Server);
    let spans = bench.sink.wait_for_spans(&asked.trace, is_complete).await;
    let server = spans.iter().find(|span| span.kind == SpanKind::Server).expect("it was waited for");
    assert_server(server, &asked.end);
    let mut calls: Vec<&Span> = spans.iter().filter(|span| span.kind == SpanKind::Client).collect();
    assert_eq!(calls.len() + 1, spans.len(), "other spans than of calls:\n{}", dump(&spans));
    assert!(calls.iter().all(|call| call.parent_span_id == server.span_id), "{}", dump(&spans));
    calls.sort_by_key(|call| call.start_nanos);
    for (call, number) in calls.iter().zip(1..) {
        assert_eq!(call.attributes["goblin.attempt"], number, "{}", dump(&spans));
    }
    calls.into_iter().map(read).collect()
}

fn text(span: &Span, name: &str) -> Option<String> {
    span.attributes.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn read(call: &Span) -> Called {
    let provider = text(call, "gen_ai.provider.name").expect("whose call it is");
    let error_type = text(call, "error.type");
    let outcome = text(call, "goblin.outcome");
    let is_error = matches!(call.status, SpanStatus::Error(_));
    let expected = if error_type.is_some() { ("failed", true) } else { ("completed", false) };
    assert_eq!((outcome.as_deref(), is_error), (Some(expected.0), expected.1), "{call:?}");
    Called { provider, error_type }
}

/// The request's own span says what the client saw.
fn assert_server(server: &Span, end: &End) {
    let (status, code) = match end {
        End::Answered | End::Nothing | End::BySpare => (200, None),
        End::BrokenOff { code } => (200, Some(code)),
        End::Told { status, code, .. } => (*status, Some(code)),
    };
    assert_eq!(server.attributes["http.response.status_code"], status);
    // A request that is refused is dealt with.
    let is_failed = code.is_some() && !(400..500).contains(&status);
    let outcome = if is_failed { "failed" } else { "completed" };
    assert_eq!(text(server, "goblin.outcome").as_deref(), Some(outcome), "{server:?}");
    assert_eq!(text(server, "error.type").as_ref(), code.filter(|_| is_failed), "{server:?}");
    assert_eq!(matches!(server.status, SpanStatus::Error(_)), is_failed, "{server:?}");
}
