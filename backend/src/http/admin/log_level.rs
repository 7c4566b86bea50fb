//! `/admin/log-level`: what the log tells, to be changed while the program runs.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{errors::Failure, layers::Service},
    read_json,
};
use crate::monitoring::LogLevels;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// `None`: that of the configuration.
    level: Option<String>,
}

/// `GET /admin/log-level`: the level in effect, and that of the configuration.
pub(in super::super) async fn log_level(State(service): State<Arc<Service>>) -> Json<Value> {
    shown(&service.watch.levels)
}

/// `PUT /admin/log-level` with `{"level": "info,goblin_backend::chat=debug"}`: until it is put again or the program ends;
/// with `{}`, back to that of the configuration.
pub(in super::super) async fn set_log_level(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let Wish { level } = read_json(request).await?;
    let levels = &service.watch.levels;
    let level = level.unwrap_or_else(|| levels.configured().to_owned());
    levels.set(&level).map_err(|reason| {
        let message = format!("`level` {reason}.");
        ClientError::new(ErrorCode::InvalidField, message).with_param("level")
    })?;
    // Told at a level that most show, as it says why there is more or less from now on.
    tracing::warn!(directives = level, "the level of the log is changed");
    Ok(shown(levels))
}

fn shown(levels: &LogLevels) -> Json<Value> {
    Json(json!({ "level": levels.current(), "configured": levels.configured() }))
}
