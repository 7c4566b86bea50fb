//! `/admin/incidents`: what Alertmanager tells, and what it told.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{errors::Failure, layers::Service},
    admin, invalid, read_json_within, unavailable,
};
use crate::ports::{Incident, IncidentState};

/// Largest body that Alertmanager may send: a hundred alerts with long texts.
const BODY: usize = 1024 * 1024;

/// Most that are shown, and as many as are shown unless fewer are asked for.
const MOST: u32 = 200;

/// What Alertmanager sends, version 4 (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>). It may have
/// more to say in time.
#[derive(Deserialize)]
struct Webhook {
    version: String,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    fingerprint: String,
}

/// `POST /admin/incidents`: keeps what Alertmanager's webhook says. It may say it again.
pub(in super::super) async fn tell(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let webhook: Webhook = read_json_within(request, BODY).await?;
    if webhook.version != "4" {
        return Err(invalid("version", "must be 4, as Alertmanager's webhook has it"));
    }
    let admin = admin(&service)?;
    let now_ms = admin.clock.unix_millis();
    let incidents = webhook.alerts.into_iter().enumerate().map(|(index, alert)| incident(index, alert, now_ms));
    let incidents = incidents.collect::<Result<Vec<_>, _>>()?;
    for incident in &incidents {
        let name = incident.labels.get("alertname").map_or("", String::as_str);
        let severity = incident.labels.get("severity").map_or("", String::as_str);
        let is_over = incident.ended_ms.is_some();
        tracing::info!(alert = name, severity, is_over, "an incident is told");
    }
    admin.incidents.tell(&incidents).await.map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

fn incident(index: usize, alert: Alert, now_ms: u64) -> Result<Incident, Failure> {
    let moment = |field: &str, text: &str| {
        millis(text).ok_or_else(|| invalid(&format!("alerts[{index}].{field}"), "must be a moment of RFC 3339"))
    };
    let ended_ms = match alert.status.as_str() {
        "firing" => None,
        "resolved" => Some(moment("endsAt", &alert.ends_at)?),
        _ => return Err(invalid(&format!("alerts[{index}].status"), "must be firing or resolved")),
    };
    Ok(Incident {
        started_ms: moment("startsAt", &alert.starts_at)?,
        ended_ms,
        told_ms: now_ms,
        fingerprint: alert.fingerprint,
        labels: alert.labels,
        annotations: alert.annotations,
    })
}

fn millis(text: &str) -> Option<u64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Wish {
    state: Option<String>,
    limit: Option<u32>,
}

/// `GET /admin/incidents?state=open|ended|all&limit=200`: the youngest first.
pub(in super::super) async fn incidents(
    State(service): State<Arc<Service>>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(wish) = wish.map_err(|_| {
        let message = "Only `state` and `limit`, a whole number, can be asked for, each once.";
        ClientError::new(ErrorCode::InvalidField, message)
    })?;
    let state = match wish.state.as_deref() {
        None | Some("all") => None,
        Some("open") => Some(IncidentState::Open),
        Some("ended") => Some(IncidentState::Ended),
        Some(_) => return Err(invalid("state", "must be open, ended or all")),
    };
    let most = wish.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&most) {
        return Err(invalid("limit", "must be 1 to 200"));
    }
    let found = admin(&service)?.incidents.list(state, most).await.map_err(unavailable)?;
    Ok(Json(json!({ "object": "list", "data": found.iter().map(shown).collect::<Vec<_>>() })))
}

fn shown(incident: &Incident) -> Value {
    let label = |name: &str| incident.labels.get(name).cloned();
    let annotation = |name: &str| incident.annotations.get(name).cloned();
    json!({
        "object": "incident",
        "fingerprint": incident.fingerprint,
        "alert": label("alertname"),
        "severity": label("severity"),
        "state": if incident.ended_ms.is_some() { "ended" } else { "open" },
        "started_at": written(incident.started_ms),
        "ended_at": incident.ended_ms.map(written),
        "told_at": written(incident.told_ms),
        "summary": annotation("summary"),
        "description": annotation("description"),
        "runbook_url": annotation("runbook_url"),
        "labels": incident.labels,
    })
}

/// In RFC 3339, UTC.
fn written(unix_millis: u64) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_millis) * 1_000_000).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_alertmanager() {
        assert_eq!(millis("2026-11-25T23:00:00.123456789Z"), Some(1_795_647_600_123));
        assert_eq!(millis("2026-11-26T00:00:00+01:00"), Some(1_795_647_600_000));
        assert_eq!((millis("0001-01-01T00:00:00Z"), millis("yesterday")), (None, None));
        assert_eq!(written(1_795_647_600_123).as_deref(), Some("2026-11-25T23:00:00.123Z"));
    }
}
