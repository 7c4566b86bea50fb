//! What operators ask of the program: `/admin`, at the operations listener alone.

mod analytics;
mod incidents;
mod keys;
mod log_level;
mod slo;
mod usage;

use std::sync::Arc;

use axum::{body::Body, extract::Request};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

pub(super) use self::{
    analytics::analytics,
    incidents::{incidents, tell},
    keys::{create, list, revoke, rotate},
    log_level::{log_level, set_log_level},
    slo::slo,
    usage::usage,
};
use super::{errors::Failure, layers::Service};
use crate::{
    identity::{KeyOffice, OfficeError},
    ports::{Business, Clock, Incidents, Ledger, StoreError, day},
    usage::Span,
};

/// Largest body of a request here, in bytes.
const BODY: usize = 64 * 1024;

/// What is governed.
pub(crate) struct Admin {
    /// Keys.
    pub(crate) office: KeyOffice,
    /// Use.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// What Alertmanager told.
    pub(crate) incidents: Arc<dyn Incidents>,
    /// Figures of the business.
    pub(crate) business: Arc<dyn Business>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

fn admin(service: &Service) -> Result<&Admin, Failure> {
    service.admin.as_ref().ok_or_else(|| {
        let message = "Nothing is kept here, as store.url is `none`: there are no keys and there is no ledger.";
        ClientError::new(ErrorCode::NotFound, message).into()
    })
}

/// Which days are wished for, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    span: Span,
    is_csv: bool,
}

impl Form {
    /// Reads `from`, `to` and `format`, each as it was given, on a day of which it is asked.
    fn read(from: Option<&str>, to: Option<&str>, format: Option<&str>, now_ms: u64) -> Result<Self, Failure> {
        let day =
            |field: &str, text: Option<&str>| text.map(day::read).transpose().map_err(|reason| invalid(field, &reason));
        let span = Span::new(day("from", from)?, day("to", to)?, day::of_millis(now_ms));
        let is_csv = match format {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(invalid("format", "must be json or csv")),
        };
        Ok(Self { span: span.map_err(|reason| invalid("from", reason))?, is_csv })
    }
}

fn invalid(field: &str, reason: &str) -> Failure {
    ClientError::new(ErrorCode::InvalidField, format!("`{field}` {reason}.")).with_param(field).into()
}

/// The body as JSON; an empty one counts as `{}`.
async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    read_json_within(request, BODY).await
}

/// The same, of at most so many bytes.
async fn read_json_within<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Failure> {
    let (head, body): (_, Body) = request.into_parts();
    let body = Limited::new(body, most).collect().await.map_err(|_| {
        let message = format!("The body is larger than {} KiB, or was not sent whole.", most / 1024);
        Failure::from(ClientError::new(ErrorCode::BodyTooLarge, message))
    })?;
    let body = body.to_bytes();
    if body.is_empty() {
        return read(b"{}");
    }
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("application/json") {
        let message = "The body must be JSON, with the field `content-type: application/json`.";
        return Err(ClientError::new(ErrorCode::UnsupportedMediaType, message).into());
    }
    read(&body)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_data() {
            // It names a member and the types, and no value but those of enumerations.
            let message = format!("`{path}` cannot be used: {inner}.");
            Failure::from(ClientError::new(ErrorCode::InvalidField, message).with_param(path))
        } else {
            ClientError::new(ErrorCode::InvalidJson, "The body is no JSON object.").into()
        }
    })?;
    json.end().map_err(|_| ClientError::new(ErrorCode::InvalidJson, "There is more than one JSON value."))?;
    Ok(read)
}

fn unavailable(error: StoreError) -> Failure {
    let message = "The store cannot be asked at the moment; try again shortly. The log says why.";
    Failure::new(ClientError::new(ErrorCode::StoreUnavailable, message).with_retry_after(1)).caused_by(error)
}

impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        let told = match error {
            OfficeError::Store(error) => return unavailable(error),
            OfficeError::Invalid { field, reason } => {
                // By the names that they have here.
                let field = match field {
                    "expires" => "expires_in_seconds",
                    "overlap" => "overlap_seconds",
                    other => other,
                };
                ClientError::new(ErrorCode::InvalidField, format!("`{field}` {reason}.")).with_param(field)
            }
            OfficeError::NoSuchKey => ClientError::new(ErrorCode::NotFound, "There is no key with this id."),
            OfficeError::Revoked => {
                ClientError::new(ErrorCode::InvalidRequest, "The key is revoked, and stays so; create another.")
            }
            OfficeError::NoIssuer => ClientError::new(
                ErrorCode::Misconfigured,
                "No issuer secret is configured (auth.issuer_secrets), without which no key can be made.",
            ),
        };
        Self::new(told)
    }
}
