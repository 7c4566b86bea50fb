//! `/admin/usage`: what was used, and what it cost.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use clap::ValueEnum;
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use super::{
    super::{errors::Failure, layers::Service},
    Form, admin, invalid, unavailable,
};
use crate::{ports::UsageBy, usage::UsageReport};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Wish {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    format: Option<String>,
    key: Option<String>,
    user: Option<String>,
    tenant: Option<String>,
}

/// `GET /admin/usage?from=YYYY-MM-DD&to=…&by=key|user|tenant|model|day&format=json|csv`, for one `key`, `user` or `tenant`
/// alone where that is asked for. Without days the last 30.
pub(in super::super) async fn usage(
    State(service): State<Arc<Service>>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(wish) = wish.map_err(|_| {
        let message = "Only `from`, `to`, `by`, `format`, `key`, `user` and `tenant` can be asked for, each once.";
        ClientError::new(ErrorCode::InvalidField, message)
    })?;
    let admin = admin(&service)?;
    let now_ms = admin.clock.unix_millis();
    let form = Form::read(wish.from.as_deref(), wish.to.as_deref(), wish.format.as_deref(), now_ms)?;
    let by = wish.by.as_deref().map(|by| UsageBy::from_str(by, false)).transpose();
    let by = by.map_err(|_| invalid("by", "must be key, user, tenant, model or day"))?.unwrap_or(UsageBy::Day);
    let query = form.span.query(by, wish.key, wish.user, wish.tenant);
    let rows = admin.ledger.usage(&query).await.map_err(unavailable)?;
    let report = UsageReport::new(&query, &rows);
    Ok(if form.is_csv {
        ([(CONTENT_TYPE, "text/csv; charset=utf-8")], report.csv()).into_response()
    } else {
        Json(report.json()).into_response()
    })
}
