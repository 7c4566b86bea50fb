//! The way of a request, from the socket to its handler. Start reading here.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, delete, get, patch, post, put},
};
use goblin_shared::{api::Api, conversation::ConversationPath};
use http::Method;
use tower::ServiceBuilder;

use super::{
    accept,
    accept::Acceptance,
    admin::{self, Admin},
    authenticate::{Access, Guard, authenticate},
    chat, conversations, edge_gate, errors, exposition, health, health_news,
    health_news::HealthNews,
    models, openapi,
    places::Places,
};
use crate::{
    chat::{Accounts, ChatService, conversation::ConversationService},
    identity::Identity,
    monitoring::Watch,
    ports::{Health, Scope},
    shutdown::Shutdown,
};

/// What handlers work with.
pub(crate) struct Service {
    /// Answers chat requests.
    pub(crate) chat: Arc<ChatService>,
    /// Decides who asks.
    pub(crate) identity: Arc<Identity>,
    /// What operators govern; `None`: nothing is kept.
    pub(crate) admin: Option<Admin>,
    /// Writes requests down, and counts them against limits.
    pub(crate) accounts: Accounts,
    /// What callers have kept; `None`: nothing is.
    pub(crate) conversations: Option<Arc<ConversationService>>,
    /// Whether the store answers; `None`: there is none.
    pub(crate) store: Option<Arc<dyn Health>>,
    /// Counts what no other layer does, and shows what is counted.
    pub(crate) watch: Watch,
    /// How many requests are in flight.
    pub(crate) places: Places,
    /// Whether the program is ending.
    pub(crate) shutdown: Shutdown,
    /// Largest request body in bytes.
    pub(crate) body_limit: usize,
}

/// A path, one method that it takes, who may call it, and who answers.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: Method,
    pub(super) access: Access,
    pub(super) handler: MethodRouter<Arc<Service>>,
}

const CHAT: Access = Access::Scope(Scope::Chat);
const CONVERSATIONS: Access = Access::Scope(Scope::Conversations);
const ADMIN: Access = Access::Scope(Scope::Admin);
const TELLER: Access = Access::Scope(Scope::Incidents);

const fn route(method: Method, path: &'static str, access: Access, handler: MethodRouter<Arc<Service>>) -> Route {
    Route { path, method, access, handler }
}

/// All that the service listener answers besides [`probes`]. The document at [`openapi::PATH`] describes the same.
pub(super) fn service_routes() -> Vec<Route> {
    vec![
        route(Method::POST, Api::ChatCompletions.path(), CHAT, post(chat::completions)),
        route(Method::POST, Api::Messages.path(), CHAT, post(chat::messages)),
        route(Method::POST, Api::Embeddings.path(), CHAT, post(chat::embeddings)),
        route(Method::GET, "/v1/models", CHAT, get(models::list)),
        route(Method::GET, openapi::PATH, Access::Public, get(openapi::serve)),
        route(Method::GET, health::INTERNAL, Access::Edge, get(health::internal)),
        route(Method::GET, ConversationPath::All.template(), CONVERSATIONS, get(conversations::list)),
        route(Method::POST, ConversationPath::All.template(), CONVERSATIONS, post(conversations::create)),
        route(Method::GET, ConversationPath::One.template(), CONVERSATIONS, get(conversations::get)),
        route(Method::PATCH, ConversationPath::One.template(), CONVERSATIONS, patch(conversations::rename)),
        route(Method::DELETE, ConversationPath::One.template(), CONVERSATIONS, delete(conversations::delete)),
        route(Method::GET, ConversationPath::Turns.template(), CONVERSATIONS, get(conversations::turns)),
        route(Method::GET, ConversationPath::Export.template(), CONVERSATIONS, get(conversations::export)),
    ]
}

/// What the operations listener answers besides [`probes`].
pub(super) fn operations_routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/admin/keys", ADMIN, get(admin::list)),
        route(Method::POST, "/admin/keys", ADMIN, post(admin::create)),
        route(Method::DELETE, "/admin/keys/{id}", ADMIN, delete(admin::revoke)),
        route(Method::POST, "/admin/keys/{id}/rotate", ADMIN, post(admin::rotate)),
        route(Method::GET, "/admin/usage", ADMIN, get(admin::usage)),
        route(Method::GET, "/admin/analytics/{name}", ADMIN, get(admin::analytics)),
        route(Method::GET, "/admin/incidents", ADMIN, get(admin::incidents)),
        route(Method::POST, "/admin/incidents", TELLER, post(admin::tell)),
        route(Method::GET, "/admin/slo", ADMIN, get(admin::slo)),
        route(Method::GET, "/admin/log-level", ADMIN, get(admin::log_level)),
        route(Method::PUT, "/admin/log-level", ADMIN, put(admin::set_log_level)),
        route(Method::GET, exposition::PATH, Access::Public, get(exposition::metrics)),
    ]
}

/// What both listeners answer.
pub(super) fn probes() -> Vec<Route> {
    vec![
        route(Method::GET, health::HEALTHZ, Access::Public, get(health::alive)),
        route(Method::GET, health::READYZ, Access::Public, get(health::ready)),
    ]
}

/// Answers at the service listener.
pub(crate) fn service_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    layered(service_routes().into_iter().chain(probes()), service, acceptance)
}

/// Answers at the operations listener.
pub(crate) fn operations_router(service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    layered(operations_routes().into_iter().chain(probes()), service, acceptance)
}

/// The routes of each path as one, each behind its guard, and what is answered to other methods.
fn guarded(all: impl IntoIterator<Item = Route>, identity: &Arc<Identity>) -> Router<Arc<Service>> {
    let mut paths: BTreeMap<&'static str, (Vec<Method>, MethodRouter<Arc<Service>>)> = BTreeMap::new();
    for Route { path, method, access, handler } in all {
        let guard = Guard { identity: identity.clone(), access };
        let handler = handler.route_layer(from_fn_with_state(guard, authenticate));
        let (methods, merged) = paths.remove(path).unwrap_or_default();
        paths.insert(path, ([methods, vec![method]].concat(), merged.merge(handler)));
    }
    paths.into_iter().fold(Router::new(), |router, (path, (methods, handler))| {
        // GET answers HEAD too.
        let names = methods.iter().map(|method| if *method == Method::GET { "GET, HEAD" } else { method.as_str() });
        let allow = names.collect::<Vec<_>>().join(", ");
        router.route(path, handler.fallback(move || async move { errors::method_not_allowed(&allow) }))
    })
}

fn layered(all: impl IntoIterator<Item = Route>, service: Arc<Service>, acceptance: Arc<Acceptance>) -> Router {
    let router = guarded(all, &service.identity);
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
