//! The way of a request, from the socket to its handler. Start reading here.

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, get, post},
};
use goblin_shared::api::Api;
use tower::ServiceBuilder;

use super::{
    accept, accept::Acceptance, chat, edge_gate, errors, health, health_news, health_news::HealthNews, models, openapi,
    places::Places,
};
use crate::{chat::ChatService, shutdown::Shutdown};

/// What handlers work with.
pub(crate) struct Service {
    /// Answers chat requests.
    pub(crate) chat: Arc<ChatService>,
    /// How many requests are in flight.
    pub(crate) places: Places,
    /// Whether the program is ending.
    pub(crate) shutdown: Shutdown,
    /// Largest request body in bytes.
    pub(crate) body_limit: usize,
}

/// A path, the methods that it takes as the field `allow` has them, and who answers.
pub(super) type Route = (&'static str, &'static str, MethodRouter<Arc<Service>>);

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// All that the service listener answers besides [`probes`]. The document at [`openapi::PATH`] describes the same.
pub(super) fn routes() -> [Route; 6] {
    [
        (Api::ChatCompletions.path(), POST, post(chat::completions)),
        (Api::Messages.path(), POST, post(chat::messages)),
        (Api::Embeddings.path(), POST, post(chat::embeddings)),
        ("/v1/models", GET, get(models::list)),
        (openapi::PATH, GET, get(openapi::serve)),
        (health::INTERNAL, GET, get(health::internal)),
    ]
}

/// What both listeners answer.
pub(super) fn probes() -> [Route; 2] {
    [(health::HEALTHZ, GET, get(health::alive)), (health::READYZ, GET, get(health::ready))]
}

/// Answers at the service listener.
pub(crate) fn service_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    layered(routes().into_iter().chain(probes()), service, acceptance)
}

/// Answers at the operations listener.
pub(crate) fn operations_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    layered(probes(), service, acceptance)
}

fn layered(all: impl IntoIterator<Item = Route>, service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    let router = all.into_iter().fold(Router::new(), |router, (path, allow, handler)| {
        router.route(path, handler.fallback(move || async move { errors::method_not_allowed(allow) }))
    });
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
