//! What the edge is told of the providers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{body::Body, response::Response};
use futures_util::StreamExt;
use goblin_shared::{
    catalogue::Target,
    provider_health::{ProviderHealth, verify_health},
    request_id::RequestId,
};
use http::{Request, StatusCode};
use tokio::time::{Duration, advance};

use super::{Backend, NOW, ROUTE, Signed, body, chat, demo_request, error, get, key, other_key, refused};
use crate::{
    ports::{
        Answer, AnswerFacts, AnswerStream, Call, ClientRequest, Inexpressible, Obstacle, Prepared, Provider,
        ProviderError, Remote, StreamEvent,
    },
    provider::scripted::{Scripted, text},
};

/// Answers after 40 ms, or cannot be reached.
#[derive(Default)]
struct Fickle {
    is_away: AtomicBool,
}

impl Fickle {
    fn reached(&self) -> Result<(), ProviderError> {
        let away =
            || ProviderError::Unreachable { why: Obstacle::Refused, cause: std::io::Error::other("away").into() };
        if self.is_away.load(Ordering::Relaxed) { Err(away()) } else { Ok(()) }
    }
}

#[async_trait]
impl Provider for Fickle {
    fn remote(&self) -> Option<&Remote> {
        None
    }

    fn offers(&self, _model: &str) -> bool {
        true
    }

    fn prepare(&self, request: &ClientRequest, model: &str) -> Result<Prepared, Inexpressible> {
        Scripted::new("fickle").prepare(request, model)
    }

    async fn complete(&self, _call: Call) -> Result<Answer, ProviderError> {
        self.reached()?;
        tokio::time::sleep(Duration::from_millis(40)).await;
        Ok(Answer { body: "{}".into(), status: None, facts: AnswerFacts::default() })
    }

    fn stream(&self, _call: Call) -> AnswerStream {
        let reached = self.reached();
        let answer = async_stream::try_stream! {
            tokio::time::sleep(Duration::from_millis(40)).await;
            reached?;
            for event in [text("a"), StreamEvent::Done] {
                yield event;
            }
        };
        answer.boxed()
    }
}

fn target() -> Target {
    Target::parse("openai/gpt-4.1").unwrap()
}

fn probe() -> Request<Body> {
    get("/internal/health")
}

impl Backend {
    /// Sends a request through the edge, each with an id of its own.
    async fn through_edge(&self, number: u8, request: Request<Body>) -> Response {
        let request_id = RequestId::new(NOW * 1_000, &[number; 10]).to_string();
        let time = self.clock.0.load(Ordering::Relaxed);
        self.send(Signed { request_id, route: ROUTE, time, ..Signed::default() }.sign(request)).await
    }

    fn health_of(&self, response: &Response) -> ProviderHealth {
        let field = |name: &str| response.headers()[name].to_str().unwrap();
        let now = self.clock.0.load(Ordering::Relaxed);
        let (health, signature) = (field("x-goblin-health"), field("x-goblin-health-signature"));
        verify_health(health, signature, &[key()], now, 0).unwrap();
        ProviderHealth::parse(health).unwrap()
    }
}

#[tokio::test]
async fn every_answer_to_the_edge_tells_of_the_providers() {
    let backend = Backend::new(true);
    let chat_with_a_panic = chat(r#"{"model":"gpt-4.1","messages":[{}]}"#);
    for (number, request, status) in
        [(1, get("/v1/models"), 200), (2, get("/nowhere"), 404), (3, chat("{"), 400), (4, chat_with_a_panic, 500)]
    {
        let response = backend.through_edge(number, request).await;
        let health = backend.health_of(&response);
        assert_eq!(response.status(), status);
        assert!(health.is_offered("openai") && health.is_offered("demo") && !health.is_offered("anthropic"));
    }
}

#[tokio::test]
async fn nobody_else_is_told() {
    for backend in [Backend::new(true), Backend::new(false)] {
        for request in [probe(), get("/v1/models"), get("/healthz"), demo_request()] {
            let response = backend.send(request).await;
            assert!(!response.headers().contains_key("x-goblin-health"));
            assert!(!response.headers().contains_key("x-goblin-health-signature"));
        }
        let response = backend.through_edge(1, probe()).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let replayed = backend.through_edge(1, probe()).await;
        assert!(!replayed.headers().contains_key("x-goblin-health"));
        assert_eq!(error(replayed).await, refused());
    }
}

#[tokio::test]
async fn the_probe_is_the_edges_alone_whoever_else_is_served() {
    for backend in [Backend::new(true), Backend::new(false)] {
        assert_eq!(error(backend.send(probe()).await).await, refused());
        let response = backend.through_edge(1, probe()).await;
        assert_eq!(
            (response.status(), &response.headers()["cache-control"]),
            (StatusCode::NO_CONTENT, &"no-store".parse().unwrap())
        );
        assert!(backend.health_of(&response).is_offered("demo"));
        assert_eq!(body(response).await, "");
        let mut post = probe();
        *post.method_mut() = http::Method::POST;
        assert_eq!(backend.through_edge(2, post).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn news_are_signed_with_the_key_of_the_request() {
    let backend = Backend::new(true);
    let response = backend.through_edge(1, probe()).await;
    let field = |name: &str| response.headers()[name].to_str().unwrap();
    let signature = field("x-goblin-health-signature");
    assert!(signature.starts_with("v1;k=k;"), "{signature}");
    assert!(verify_health(field("x-goblin-health"), signature, &[other_key()], NOW, 60).is_err());
}

#[tokio::test]
async fn the_edge_can_tell_its_own_fault_from_the_clients() {
    let backend = Backend::new(true);
    let refused = backend.send(demo_request()).await;
    assert_eq!(refused.headers()["x-goblin-refusal"], "edge_signature_invalid");
    for response in [backend.through_edge(1, chat("{")).await, backend.send(get("/healthz")).await] {
        assert!(!response.headers().contains_key("x-goblin-refusal"));
    }
    let full = Backend::with_replay_capacity(true, 0);
    assert!(!full.through_edge(1, demo_request()).await.headers().contains_key("x-goblin-refusal"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_down_until_it_answers_again() {
    let provider = Arc::new(Fickle::default());
    let backend = Backend::with_provider(true, provider.clone());
    let mut number = 0;
    let mut send = |stream: bool| {
        number += 1;
        backend.through_edge(number, chat(&format!(r#"{{"model":"gpt-4.1","stream":{stream},"messages":[{{}}]}}"#)))
    };
    provider.is_away.store(true, Ordering::Relaxed);
    for failures in 1..=5 {
        let response = send(false).await;
        let health = backend.health_of(&response);
        assert_eq!(response.status(), 502);
        assert_eq!(health.is_down(&target()), failures == 5, "after {failures}");
        // No model of a server that cannot be reached is there.
        assert_eq!(health.is_down(&Target::parse("openai/gpt-4o-mini").unwrap()), failures == 5);
    }
    let later = async |seconds| {
        advance(Duration::from_secs(seconds)).await;
        backend.clock.0.fetch_add(seconds, Ordering::Relaxed);
    };
    later(9).await;
    let refused = send(true).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert!(backend.health_of(&refused).is_down(&target()), "still");
    later(1).await;
    assert!(!backend.health_of(&send_probe(&backend, 100).await).is_down(&target()), "another try is due");
    assert!(backend.health_of(&send(false).await).is_down(&target()), "which failed");

    // Twice as long now.
    later(20).await;
    provider.is_away.store(false, Ordering::Relaxed);
    for stream in [false, true] {
        let answered = send(stream).await;
        assert_eq!(answered.status(), 200);
        body(answered).await;
        later(1).await;
        let health = backend.health_of(&send_probe(&backend, 101 + u8::from(stream)).await);
        assert!(!health.is_down(&target()));
        assert_eq!(health.first_content_ms(&target()), Some(40));
    }
}

async fn send_probe(backend: &Backend, number: u8) -> Response {
    backend.through_edge(number, probe()).await
}
