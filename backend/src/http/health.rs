//! Probes: is the program alive, can it serve, which providers answer.

use std::sync::Arc;

use axum::{Json, extract::State};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, HeaderName},
};
use serde_json::{Value, json};

use super::{edge_gate::Audience, errors::Failure, exposition, layers::Service};

pub(super) const HEALTHZ: &str = "/healthz";
pub(super) const READYZ: &str = "/readyz";

/// Tells the edge of the providers; never public.
pub(super) const INTERNAL: &str = "/internal/health";

/// Whether a path is asked for all the time, by probes and the like: logged only in detail.
pub(super) fn is_probe(path: &str) -> bool {
    [HEALTHZ, READYZ, INTERNAL, exposition::PATH].contains(&path)
}

/// Whom a path is for.
pub(super) fn audience(path: &str) -> Audience {
    match path {
        HEALTHZ | READYZ => Audience::Everybody,
        INTERNAL => Audience::EdgeAlone,
        _ => Audience::AsConfigured,
    }
}

/// `GET /healthz`: whoever answers is alive.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: whether requests should be sent here.
pub(super) async fn ready(State(service): State<Arc<Service>>) -> Result<Json<Value>, Failure> {
    if service.shutdown.is_draining() {
        return Err(super::errors::shutting_down());
    }
    if !service.chat.has_providers() {
        let error = ClientError::new(ErrorCode::NoProvider, "No provider is configured.").with_retry_after(30);
        return Err(error.into());
    }
    if let Some(store) = &service.store
        && let Err(error) = store.check().await
    {
        let message = "What requests are written down in cannot be reached; try again shortly.";
        let refusal = ClientError::new(ErrorCode::StoreUnavailable, message).with_retry_after(1);
        return Err(Failure::new(refusal).caused_by(error));
    }
    Ok(Json(json!({ "status": "ready" })))
}

/// `GET /internal/health`: nothing but what each answer to the edge carries, see [`super::health_news`].
pub(super) async fn internal() -> (StatusCode, [(HeaderName, HeaderValue); 1]) {
    (StatusCode::NO_CONTENT, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))])
}
