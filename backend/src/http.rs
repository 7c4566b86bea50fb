//! HTTP: routes, the way of a request through the layers, and the one place where errors become responses.

mod accept;
mod admin;
mod answer_body;
mod authenticate;
mod chat;
mod chat_progress;
mod connections;
mod continued;
mod conversations;
mod edge_gate;
mod errors;
mod exposition;
mod health;
mod health_news;
mod layers;
mod limit_fields;
mod models;
mod openapi;
mod places;
mod replay;
mod request_context;
mod sse;

pub(crate) use self::{
    accept::Acceptance,
    admin::Admin,
    connections::serve,
    edge_gate::EdgeGate,
    layers::{Service, operations_router, service_router},
    places::Places,
    replay::ReplayStore,
};

#[cfg(test)]
mod tests;
