//! `/metrics`: what is counted, for Prometheus to fetch. At the operations listener alone.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::header::CONTENT_TYPE;

use super::{errors::Failure, layers::Service};
use crate::monitoring;

pub(super) const PATH: &str = "/metrics";

/// `GET /metrics`, in Prometheus' text format.
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Result<Response, Failure> {
    let internal = || Failure::from(ClientError::new(ErrorCode::Internal, "The metrics cannot be written down."));
    let Some(exposition) = service.watch.exposition.clone() else {
        let message =
            "Metrics cannot be fetched here: telemetry is off, or OTEL_METRICS_EXPORTER leaves `prometheus` out.";
        return Err(ClientError::new(ErrorCode::NotFound, message).into());
    };
    // Milliseconds of work, which must not hold up requests.
    let text = tokio::task::spawn_blocking(move || exposition.text()).await;
    let text = text.map_err(|error| internal().caused_by(error))?.map_err(|error| internal().caused_by(error))?;
    Ok(([(CONTENT_TYPE, monitoring::CONTENT_TYPE)], text).into_response())
}
