//! `/admin/analytics/…`: figures of the business.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use goblin_shared::error_body::{ClientError, ErrorCode};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{errors::Failure, layers::Service},
    admin, unavailable,
};
use crate::{
    monitoring::business_metrics::{Analysis, Findings},
    ports::day,
    usage::{Span, cell},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Wish {
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
}

/// `GET /admin/analytics/{users,cost,providers,conversations,tokens}?from=YYYY-MM-DD&to=…&format=json|csv`. Without days the
/// last 30.
pub(in super::super) async fn analytics(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Failure> {
    let Some(analysis) = Analysis::ALL.into_iter().find(|analysis| analysis.name() == name) else {
        let message = "Only `users`, `cost`, `providers`, `conversations` and `tokens` can be asked for here.";
        return Err(ClientError::new(ErrorCode::NotFound, message).into());
    };
    let Query(wish) = wish.map_err(|_| {
        let message = "Only `from`, `to` and `format` can be asked for, each once.";
        ClientError::new(ErrorCode::InvalidField, message)
    })?;
    let invalid = |field: &str, reason: &str| {
        Failure::from(ClientError::new(ErrorCode::InvalidField, format!("`{field}` {reason}.")).with_param(field))
    };
    let read_day = |field: &str, text: &Option<String>| {
        text.as_deref().map(day::read).transpose().map_err(|reason| invalid(field, &reason))
    };
    let is_csv = match wish.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(invalid("format", "must be json or csv")),
    };
    let admin = admin(&service)?;
    let now_ms = admin.clock.unix_millis();
    let span = Span::new(read_day("from", &wish.from)?, read_day("to", &wish.to)?, day::of_millis(now_ms));
    let days = span.map_err(|reason| invalid("from", reason))?.days();
    let findings = analysis.ask(&*admin.business, days, now_ms).await.map_err(unavailable)?;
    Ok(if is_csv {
        ([(CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&findings)).into_response()
    } else {
        Json(findings.json(analysis, days)).into_response()
    })
}

/// The table alone (RFC 4180).
fn csv(findings: &Findings) -> String {
    let mut csv = format!("{}\r\n", findings.columns.join(","));
    for row in &findings.rows {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => cell(text),
            other => other.to_string(),
        });
        // A text always takes it.
        let _ = write!(csv, "{}\r\n", cells.collect::<Vec<_>>().join(","));
    }
    csv
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row_and_no_formulas() {
        let rows = vec![vec!["=a,b".into(), 1.into()], vec!["c".into(), Value::Null]];
        let findings = Findings { summary: Map::new(), columns: &["one", "two"], rows };
        assert_eq!(csv(&findings), "one,two\r\n\"'=a,b\",1\r\nc,\r\n");
    }
}
