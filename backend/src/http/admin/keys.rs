//! `/admin/keys`: list, create, rotate, revoke.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::{errors::Failure, layers::Service},
    admin, read_json,
};
use crate::{
    identity::{Issued, IssuedView, KeyView, NewKey, OVERLAP, PAGE},
    ports::{LimitSet, Scopes, usd},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Page {
    limit: Option<u32>,
    after: Option<String>,
}

#[derive(Serialize)]
struct KeyList<'a> {
    object: &'static str,
    data: Vec<KeyView<'a>>,
    has_more: bool,
    /// For `after`.
    next: Option<&'a str>,
}

/// `GET /admin/keys?limit=&after=`: all keys by id, revoked and expired ones too.
pub(in super::super) async fn list(
    State(service): State<Arc<Service>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(page) = page.map_err(|_| {
        let message = "Only `limit`, a number, and `after`, the id of a key, can be asked for.";
        ClientError::new(ErrorCode::InvalidField, message)
    })?;
    let office = &admin(&service)?.office;
    let (keys, has_more) = office.list(page.after.as_deref(), page.limit.unwrap_or(PAGE)).await?;
    let now_ms = office.now_ms();
    let list = KeyList {
        object: "list",
        data: keys.iter().map(|key| KeyView::new(key, now_ms)).collect(),
        has_more,
        next: keys.last().filter(|_| has_more).map(|key| key.id.as_str()),
    };
    Ok(Json(json!(list)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    name: Option<String>,
    user: Option<String>,
    tenant: Option<String>,
    scopes: Option<Vec<String>>,
    expires_in_seconds: Option<u64>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    usd_per_day: Option<String>,
    usd_per_month: Option<String>,
}

impl CreateKey {
    fn wish(self) -> Result<NewKey, Failure> {
        let invalid = |field: &str, reason: String| {
            Failure::from(ClientError::new(ErrorCode::InvalidField, format!("`{field}`: {reason}.")).with_param(field))
        };
        let scopes = match &self.scopes {
            None => Scopes::DEFAULT,
            Some(names) => names.join(",").parse::<Scopes>().map_err(|error| invalid("scopes", error.to_string()))?,
        };
        let money = |field: &str, text: Option<String>| {
            text.map(|text| usd::read(&text)).transpose().map_err(|reason| invalid(field, reason))
        };
        Ok(NewKey {
            name: self.name.unwrap_or_default(),
            user: self.user,
            tenant: self.tenant,
            scopes,
            limits: LimitSet {
                requests_per_minute: self.requests_per_minute,
                tokens_per_minute: self.tokens_per_minute,
                nano_usd_per_day: money("usd_per_day", self.usd_per_day)?,
                nano_usd_per_month: money("usd_per_month", self.usd_per_month)?,
            },
            expires_in: self.expires_in_seconds.map(Duration::from_secs),
        })
    }
}

/// `POST /admin/keys`: a new key, which is shown this once.
pub(in super::super) async fn create(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Failure> {
    let office = &admin(&service)?.office;
    let wish = read_json::<CreateKey>(request).await?.wish()?;
    let issued = office.create(wish).await?;
    tracing::info!(key_id = issued.record.id, "an API key was created");
    Ok(shown_once(StatusCode::CREATED, &issued, office.now_ms()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateKey {
    /// How long the secret that it had counts too.
    overlap_seconds: Option<u64>,
}

/// `POST /admin/keys/{id}/rotate`: a new secret for a key, which is shown this once.
pub(in super::super) async fn rotate(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let office = &admin(&service)?.office;
    let wish: RotateKey = read_json(request).await?;
    let overlap = wish.overlap_seconds.map_or(OVERLAP, Duration::from_secs);
    let rotated = office.rotate(&id, overlap).await;
    // Even if the outcome is not known.
    service.identity.keys().forget(&id);
    let issued = rotated?;
    tracing::info!(key_id = issued.record.id, "an API key was rotated");
    Ok(shown_once(StatusCode::OK, &issued, office.now_ms()))
}

/// `DELETE /admin/keys/{id}`: ends a key at once here, and at other instances within `auth.cache`.
pub(in super::super) async fn revoke(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let revoked = admin(&service)?.office.revoke(&id).await;
    service.identity.keys().forget(&id);
    revoked?;
    tracing::info!(key_id = id, "an API key was revoked");
    Ok(Json(json!({ "object": "api_key", "id": id, "state": "revoked" })))
}

fn shown_once(status: StatusCode, issued: &Issued, now_ms: u64) -> Response {
    let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, no_store, Json(json!(IssuedView::new(issued, now_ms)))).into_response()
}
