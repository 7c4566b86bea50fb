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
    Form, admin, unavailable,
};
use crate::{
    monitoring::business_metrics::{Analysis, Findings},
    usage::cell,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Wish {
    from: Option<String>,
    to: Option<String>,
    format: Option<String>,
    table: Option<String>,
}

/// `GET /admin/analytics/{users,cost,providers,conversations,tokens}?from=YYYY-MM-DD&to=…&format=json|csv`. Without days the
/// last 30. CSV is of the rows, or with `table=summary` of what holds of the whole.
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
        let message = "Only `from`, `to`, `format` and `table` can be asked for, each once.";
        ClientError::new(ErrorCode::InvalidField, message)
    })?;
    let is_summary = match wish.table.as_deref() {
        None | Some("rows") => false,
        Some("summary") => true,
        Some(_) => {
            let message = "`table` must be `rows` or `summary`.";
            return Err(ClientError::new(ErrorCode::InvalidField, message).with_param("table").into());
        }
    };
    let admin = admin(&service)?;
    let now_ms = admin.clock.unix_millis();
    let form = Form::read(wish.from.as_deref(), wish.to.as_deref(), wish.format.as_deref(), now_ms)?;
    let days = form.span.days();
    let findings = analysis.ask(&*admin.business, days, now_ms).await.map_err(unavailable)?;
    Ok(if form.is_csv {
        ([(CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&findings, is_summary)).into_response()
    } else {
        Json(findings.json(analysis, days)).into_response()
    })
}

/// One table (RFC 4180): the rows, or what holds of the whole as one row.
fn csv(findings: &Findings, is_summary: bool) -> String {
    let (names, values): (Vec<&str>, Vec<Value>) =
        findings.summary.iter().map(|(name, value)| (name.as_str(), value.clone())).unzip();
    let (columns, rows) =
        if is_summary { (names.join(","), &vec![values]) } else { (findings.columns.join(","), &findings.rows) };
    let mut csv = format!("{columns}\r\n");
    for row in rows {
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
        let summary = Map::from_iter([("whole".to_owned(), 3.into()), ("rate".to_owned(), Value::Null)]);
        let findings = Findings { summary, columns: &["one", "two"], rows };
        assert_eq!(csv(&findings, false), "one,two\r\n\"'=a,b\",1\r\nc,\r\n");
        assert_eq!(csv(&findings, true), "whole,rate\r\n3,\r\n");
    }
}
