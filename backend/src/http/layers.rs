//! The way of a request, from the socket to its handler. Start reading here.

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use tower::ServiceBuilder;

use super::{
    accept, accept::Acceptance, chat, edge_gate, errors, health, health_news, health_news::HealthNews, models,
};
use crate::{chat::ChatService, shutdown::Shutdown};

/// What handlers work with.
pub(crate) struct Service {
    /// Answers chat requests.
    pub(crate) chat: ChatService,
    /// Whether the program is ending.
    pub(crate) shutdown: Shutdown,
    /// Largest request body in bytes.
    pub(crate) body_limit: usize,
}

/// Routes of the service listener.
pub(crate) fn service_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    let router = probes()
        .route(
            "/v1/chat/completions",
            post(chat::completions).fallback(|| async { errors::method_not_allowed("POST") }),
        )
        .route("/v1/models", get(models::list).fallback(|| async { errors::method_not_allowed("GET, HEAD") }))
        .route(health::INTERNAL, get(health::internal).fallback(|| async { errors::method_not_allowed("GET, HEAD") }));
    layered(router, service, acceptance)
}

/// Routes of the operations listener.
pub(crate) fn operations_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    layered(probes(), service, acceptance)
}

fn probes() -> Router<Arc<Service>> {
    let probe = |handler| async move { handler };
    Router::new()
        .route(health::HEALTHZ, get(health::alive).fallback(move || probe(errors::method_not_allowed("GET, HEAD"))))
        .route(health::READYZ, get(health::ready).fallback(move || probe(errors::method_not_allowed("GET, HEAD"))))
}

fn layered(router: Router<Arc<Service>>, service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    let news = Arc::new(HealthNews::new(service.clone(), &acceptance.gate));
    // Outermost first.
    let layers = ServiceBuilder::new()
        // Gives the request its id, its place in a trace and its line in the log. Outside of everything, so that
        // refusals and panics have them too; and it alone sees the body end.
        .layer(from_fn_with_state(acceptance, accept::accept))
        // Tells the edge of the providers with every answer, be it an error.
        .layer(from_fn_with_state(news, health_news::tell))
        // Refuses what did not come through the edge, before anything of the request is believed or read.
        .layer(from_fn(edge_gate::refuse_strangers))
        // Inside of those above, so that a panic is answered, with id and trace, like any other fault of ours.
        .layer(from_fn(errors::catch_panics));
    router.fallback(|| async { errors::not_found() }).layer(layers).with_state(service)
}
