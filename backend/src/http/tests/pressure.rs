//! More requests than are served at once.

use super::{Backend, body, demo_request, error};
use crate::{
    ports::StreamEvent,
    provider::scripted::{Scripted, text},
};

#[tokio::test]
async fn what_is_too_much_is_refused_until_somebody_is_done() {
    let provider = Scripted::new("slow");
    let steps: Vec<_> = (0..super::PLACES).map(|_| provider.then_stream()).collect();
    let backend = Backend::with_provider(false, provider);
    let mut open = Vec::new();
    for step in &steps {
        step.send(Ok(text("a"))).unwrap();
        open.push(backend.stream("").await.unwrap());
    }
    let refused = backend.send(demo_request()).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(error(refused).await, (503, "overloaded".to_owned()));
    // Probes are always answered.
    assert_eq!(backend.send(super::get("/healthz")).await.status(), 200);

    // One that has left, and one that is done.
    drop(open.pop());
    assert_eq!(backend.send(demo_request()).await.status(), 200);
    steps[0].send(Ok(StreamEvent::Done)).unwrap();
    assert!(body(open.swap_remove(0)).await.ends_with("data: [DONE]\n\n"));
    for _ in 0..3 {
        assert_eq!(backend.send(demo_request()).await.status(), 200);
    }
}
