//! Probes: is the program alive, can it serve.

use std::sync::Arc;

use axum::{Json, extract::State};
use goblin_shared::error_body::{ClientError, ErrorCode};
use serde_json::{Value, json};

use super::{errors::Failure, layers::Service};

pub(super) const HEALTHZ: &str = "/healthz";
pub(super) const READYZ: &str = "/readyz";

/// Whether a path is a probe's: served to everybody, and logged only in detail.
pub(super) fn is_probe(path: &str) -> bool {
    path == HEALTHZ || path == READYZ
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
    Ok(Json(json!({ "status": "ready" })))
}
