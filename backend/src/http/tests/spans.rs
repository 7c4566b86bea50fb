//! Spans of requests: their chain, their attributes, their end.

use opentelemetry::{
    Value as OtelValue,
    trace::{SpanKind, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::layer::SubscriberExt;

use super::{Backend, PARENT, ROUTE, Signed, chat, demo_request, error, get, next_frame, refused};
use crate::{
    monitoring,
    ports::StreamEvent,
    provider::scripted::{begun, finish, text, usage},
};

/// Spans of what happens while it lives, on this thread.
struct Spans {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: tracing::subscriber::DefaultGuard,
    /// As long as there is one subscriber only, a span that another thread is the first to make is asked of that thread's
    /// subscriber alone, has none there, and is switched off for all.
    _second: tracing::Dispatch,
}

impl Spans {
    fn collect() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let subscriber = tracing_subscriber::registry().with(monitoring::tracing::spans(provider.tracer("test")));
        let guard = tracing::subscriber::set_default(subscriber);
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        Self { exporter, _provider: provider, _guard: guard, _second: second }
    }

    /// What has ended once two have: the task that drives a stream hears of its end a moment later.
    async fn ended_two(&self) -> Vec<SpanData> {
        while self.ended().len() < 2 {
            tokio::task::yield_now().await;
        }
        self.ended()
    }

    fn ended(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }
}

fn attribute(span: &SpanData, name: &str) -> Option<OtelValue> {
    let mut values = span.attributes.iter().filter(|attribute| attribute.key.as_str() == name);
    let value = values.next().map(|attribute| attribute.value.clone());
    assert!(values.next().is_none(), "{name} is given twice");
    value
}

#[tokio::test]
async fn spans_form_one_chain_and_end_with_the_body() {
    let spans = Spans::collect();
    let backend = Backend::new(true);
    let signed = Signed { route: ROUTE, ..Signed::default() };
    let request = chat(r#"{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"secret"}]}"#);
    backend.play([StreamEvent::Opened(Some(200)), begun(), text("a")]);
    let mut body = backend.send(signed.sign(request)).await.into_body();
    next_frame(&mut body).await.unwrap();
    assert_eq!(spans.ended(), [], "nothing has ended while the answer goes on");
    for events in [finish(), usage()] {
        backend.play(events);
    }
    backend.play([StreamEvent::Done]);
    while next_frame(&mut body).await.is_some() {}

    let ended = spans.ended();
    let [chat, server] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!((&server.span_kind, &chat.span_kind), (&SpanKind::Server, &SpanKind::Client));
    assert_eq!(server.span_context.trace_id().to_string(), "12345678901234567890123456789012");
    assert_eq!(server.parent_span_id.to_string(), "1234567890123456");
    assert_eq!(chat.span_context.trace_id(), server.span_context.trace_id());
    assert_eq!(chat.parent_span_id, server.span_context.span_id());
    assert!(server.end_time >= chat.end_time);
    let traceparent = backend.provider.calls()[0].traceparent.unwrap();
    assert_eq!(traceparent.span_id.to_string(), chat.span_context.span_id().to_string());
    assert_eq!(traceparent.flags.bits(), 3);

    for (name, value) in [
        ("http.request.method", "POST".into()),
        ("http.route", "/v1/chat/completions".into()),
        ("http.response.status_code", OtelValue::I64(200)),
        ("url.path", "/v1/chat/completions".into()),
        ("goblin.request.id", signed.request_id.into()),
        ("goblin.outcome", "completed".into()),
    ] {
        assert_eq!(attribute(server, name), Some(value), "{name}");
    }
    assert_eq!(chat.name, "chat gpt-4.1");
    for (name, value) in [
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.provider.name", "openai".into()),
        ("gen_ai.request.model", "gpt-4.1".into()),
        ("gen_ai.response.model", "m-1".into()),
        ("gen_ai.response.id", "a".into()),
        ("gen_ai.usage.input_tokens", OtelValue::I64(3)),
        ("gen_ai.usage.output_tokens", OtelValue::I64(4)),
        ("server.address", "provider.example".into()),
        ("server.port", OtelValue::I64(443)),
        ("goblin.attempt", OtelValue::I64(1)),
        ("http.response.status_code", OtelValue::I64(200)),
        ("goblin.outcome", "completed".into()),
    ] {
        assert_eq!(attribute(chat, name), Some(value), "{name}");
    }
    assert!(attribute(chat, "gen_ai.response.finish_reasons").is_some());
    assert!(!format!("{ended:?}").contains("secret"));
}

#[tokio::test]
async fn spans_tell_how_a_request_ended() {
    for (ending, outcome, error_type) in [
        ("cut", "failed", Some("provider_failed")),
        ("left", "cancelled", None),
        ("shutdown", "failed", Some("shutting_down")),
    ] {
        let spans = Spans::collect();
        let backend = Backend::new(false);
        backend.play([text("a")]);
        let request = chat(r#"{"model":"gpt-4.1","stream":true,"messages":[{}]}"#);
        let mut body = backend.send(request).await.into_body();
        next_frame(&mut body).await.unwrap();
        match ending {
            "cut" => drop(backend.steps),
            "shutdown" => backend.shutdown.cut(),
            _ => drop(std::mem::take(&mut body)),
        }
        while next_frame(&mut body).await.is_some() {}
        let ended = spans.ended_two().await;
        let [chat, server] = ended.as_slice() else { panic!("{ending}: {ended:?}") };
        assert_eq!(attribute(server, "goblin.outcome"), Some(outcome.into()), "{ending}");
        assert_eq!(attribute(server, "error.type"), error_type.map(Into::into), "{ending}");
        let failed = matches!(server.status, opentelemetry::trace::Status::Error { .. });
        assert_eq!(failed, error_type.is_some(), "{ending}");
        let chat_outcome = if ending == "cut" { "failed" } else { "cancelled" };
        assert_eq!(attribute(chat, "goblin.outcome"), Some(chat_outcome.into()), "{ending}");
    }
}

#[tokio::test]
async fn a_refused_request_has_its_span_in_the_callers_trace() {
    let spans = Spans::collect();
    let backend = Backend::new(true);
    let mut request = demo_request();
    let unsampled = PARENT.replace("-03", "-00");
    request.headers_mut().insert("traceparent", unsampled.parse().unwrap());
    assert_eq!(error(backend.send(request).await).await, refused());
    let ended = spans.ended();
    let [server] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(server.span_context.trace_id().to_string(), "12345678901234567890123456789012");
    assert!(server.span_context.is_sampled(), "a stranger cannot hide");
    assert_eq!(attribute(server, "http.response.status_code"), Some(OtelValue::I64(403)));
    assert_eq!(attribute(server, "goblin.outcome"), Some("completed".into()));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_told_of_too() {
    let spans = Spans::collect();
    let backend = Backend::new(false);
    let answer = backend.send(chat(r#"{"model":"gpt-4.1","stream":true,"messages":[{}]}"#));
    let mut answer = std::pin::pin!(answer);
    assert!(futures_util::poll!(&mut answer).is_pending());
    while backend.provider.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    answer.set(backend.send(get("/healthz")));
    let ended = spans.ended_two().await;
    let [chat, server] = ended.as_slice() else { panic!("{ended:?}") };
    for span in [chat, server] {
        assert_eq!(attribute(span, "goblin.outcome"), Some("cancelled".into()), "{}", span.name);
    }
    assert_eq!(attribute(server, "http.response.status_code"), None);
}
