//! `/admin/slo`: whether objectives are met, as the backend sees it.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

use super::super::layers::Service;

/// `GET /admin/slo`: compliance, error budget, burn rates, alerts and history of each objective.
pub(in super::super) async fn slo(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(service.watch.slos.report().json())
}
