//! Streamed answers, from the first chunk to every kind of end.

use http::StatusCode;

use super::{Backend, body, error, next_frame};
use crate::{
    ports::{ProviderError, StreamEvent},
    provider::scripted::{delta, finish, text},
};

#[tokio::test]
async fn a_stream_goes_out_event_by_event() {
    let backend = Backend::new(false);
    let response = backend.stream("");
    backend.play([StreamEvent::Opened(Some(200)), delta("{}"), text("a")]);
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(response.headers()["x-goblin-model"], "openai/gpt-4.1");
    let mut body = response.into_body();
    assert!(next_frame(&mut body).await.unwrap().contains(r#""delta":{}"#));
    assert!(next_frame(&mut body).await.unwrap().contains(r#""content":"a""#));
    for word in ["b", "c"] {
        backend.play([text(word)]);
        let frame = next_frame(&mut body).await.unwrap();
        assert!(frame.starts_with("data: {") && frame.contains(word) && frame.ends_with("}\n\n"), "{frame}");
    }
    backend.play(finish());
    backend.play([StreamEvent::Done]);
    assert!(next_frame(&mut body).await.unwrap().contains("finish_reason"));
    assert_eq!(next_frame(&mut body).await.as_deref(), Some("data: [DONE]\n\n"));
    assert_eq!(next_frame(&mut body).await, None);
}

#[tokio::test]
async fn a_stream_without_its_last_word_is_an_error_event() {
    for finished in [true, false] {
        let backend = Backend::new(false);
        let response = backend.stream("");
        backend.play([text("a")]);
        if finished {
            backend.play(finish());
        }
        drop(backend.steps);
        let text = body(response.await.unwrap()).await;
        assert!(!text.contains("[DONE]") && text.contains(r#""code":"provider_failed""#), "{text}");
    }
}

#[tokio::test]
async fn a_failure_before_the_first_content_has_its_status() {
    let backend = Backend::new(false);
    let response = backend.stream("");
    backend.play([delta("{}")]);
    backend.steps.send(Err(ProviderError::Cut)).unwrap();
    assert_eq!(error(response.await.unwrap()).await, (502, "provider_failed".to_owned()));
}

/// The next event, whatever was said to break silence in the same moment.
async fn next_event(body: &mut axum::body::Body) -> String {
    loop {
        match next_frame(body).await.unwrap() {
            silence if silence == ": keep-alive\n\n" => {}
            event => return event,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_goes_out_after_fifteen_seconds_and_silence_is_broken() {
    let backend = Backend::new(false);
    let start = tokio::time::Instant::now();
    let response = backend.stream("").await.unwrap();
    assert_eq!((response.status(), start.elapsed().as_secs()), (StatusCode::OK, 15));
    let mut body = response.into_body();
    for second in [30, 45] {
        assert_eq!(next_frame(&mut body).await.as_deref(), Some(": keep-alive\n\n"));
        assert_eq!(start.elapsed().as_secs(), second);
    }
    // At 60 s, patience with the provider ends; the status is gone by then.
    let frame = next_event(&mut body).await;
    assert!(frame.contains("provider_timeout"), "{frame}");
    assert_eq!(next_frame(&mut body).await, None);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_falls_silent_in_mid_answer_is_given_up() {
    let backend = Backend::new(false);
    let response = backend.stream("");
    backend.play([text("a")]);
    let mut body = response.await.unwrap().into_body();
    let start = tokio::time::Instant::now();
    assert!(next_frame(&mut body).await.unwrap().contains("\"a\""));
    assert_eq!(next_frame(&mut body).await.as_deref(), Some(": keep-alive\n\n"));
    assert!(next_event(&mut body).await.contains("provider_timeout"));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(backend.steps.is_closed());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call() {
    let backend = Backend::new(false);
    let waiting = backend.stream("");
    backend.play([text("a")]);
    let response = waiting.await.unwrap();
    assert!(!backend.steps.is_closed());
    drop(response);
    backend.steps.closed().await;

    let backend = Backend::new(false);
    let waiting = backend.stream("");
    // Under way, but without content: there is no answer yet.
    while backend.provider.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    backend.steps.closed().await;
}

#[tokio::test]
async fn open_streams_are_ended_when_their_time_is_over() {
    let backend = Backend::new(false);
    let waiting = backend.stream("");
    backend.play([text("a")]);
    let mut body = waiting.await.unwrap().into_body();
    assert!(next_frame(&mut body).await.is_some());
    backend.shutdown.drain();
    backend.play([text("b")]);
    assert!(next_frame(&mut body).await.unwrap().contains("\"b\""));
    backend.shutdown.cut();
    let frame = next_frame(&mut body).await.unwrap();
    assert!(frame.contains(r#""code":"shutting_down""#), "{frame}");
    assert_eq!(next_frame(&mut body).await, None);
    backend.steps.closed().await;

    let late = Backend::new(false);
    late.shutdown.cut();
    assert_eq!(error(late.stream("").await.unwrap()).await, (503, "shutting_down".to_owned()));
}
