//! Grafana's dashboards, from typed definitions.
//!
//! The JSON model is Grafana's (<https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>).

mod content;

use serde_json::{Value, json};

/// All files, with their paths below `infra/`.
pub(super) fn files() -> Vec<(&'static str, String)> {
    content::all().into_iter().map(|dashboard| (dashboard.file, written(&dashboard))).collect()
}

/// One dashboard.
struct Dashboard {
    file: &'static str,
    uid: &'static str,
    title: &'static str,
    description: &'static str,
    rows: Vec<Row>,
}

/// Panels that belong together.
struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// One panel.
struct Panel {
    title: &'static str,
    description: &'static str,
    kind: Kind,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
    /// Points that lead to a trace.
    exemplars: bool,
}

/// How it is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Stat,
    Bars,
    Table,
    /// Lines of the log; its queries are Loki's.
    Logs,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Line | Self::Bars => "timeseries",
            Self::Stat => "stat",
            Self::Table => "table",
            Self::Logs => "logs",
        }
    }

    /// Of 24 columns, and in Grafana's rows.
    const fn size(self) -> (u32, u32) {
        match self {
            Self::Stat => (6, 4),
            Self::Line | Self::Bars | Self::Table => (12, 8),
            Self::Logs => (24, 8),
        }
    }
}

const WIDTH: u32 = 24;

fn written(dashboard: &Dashboard) -> String {
    let mut panels = Vec::new();
    let (mut id, mut y) = (0, 0);
    for row in &dashboard.rows {
        id += 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in &row.panels {
            let (w, h) = panel.kind.size();
            if x + w > WIDTH {
                (x, y, height) = (0, y + height, 0);
            }
            id += 1;
            panels.push(drawn(panel, id, &json!({"x": x, "y": y, "w": w, "h": h})));
            x += w;
            height = height.max(h);
        }
        y += height;
    }
    let all = |name: &str, label: &str, of: &str| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": prometheus(),
            "query": {"query": of, "refId": name}, "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "options": [], "regex": "", "hide": 0,
        })
    };
    let source = |name: &str, label: &str, kind: &str| {
        json!({
            "name": name, "label": label, "type": "datasource", "query": kind, "refresh": 1, "regex": "", "hide": 0,
            "multi": false, "includeAll": false, "current": {}, "options": [],
        })
    };
    let dashboard = json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["goblin"],
        "schemaVersion": 41,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "weekStart": "",
        "liveNow": false,
        "annotations": {"list": [{
            "name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": prometheus(),
            "expr": "ALERTS{alertstate=\"firing\",alertname!=\"Watchdog\"}",
        }]},
        "links": [{
            "title": "Goblin Assistant", "type": "dashboards", "tags": ["goblin"], "asDropdown": true, "icon": "external link",
            "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
        }],
        "templating": {"list": [
            source("metrics", "Metrics", "prometheus"),
            source("lines", "Lines", "loki"),
            all("environment", "Environment", "label_values(goblin_llm_requests_total, environment)"),
            all("service", "Service", "label_values(http_server_request_duration_seconds_count, job)"),
        ]},
        "panels": panels,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).unwrap_or_default();
    text.push('\n');
    text
}

fn prometheus() -> Value {
    json!({"type": "prometheus", "uid": "${metrics}"})
}

fn drawn(panel: &Panel, id: u32, place: &Value) -> Value {
    let is_log = panel.kind == Kind::Logs;
    let source = if is_log { json!({"type": "loki", "uid": "${lines}"}) } else { prometheus() };
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|((expression, legend), letter)| {
            let mut target = json!({
                "refId": letter.to_string(), "datasource": source, "expr": expression, "legendFormat": legend,
                "editorMode": "code",
            });
            let is_table = panel.kind == Kind::Table;
            let more = if is_log {
                json!({"queryType": "range"})
            } else {
                let format = if is_table { "table" } else { "time_series" };
                json!({"exemplar": panel.exemplars, "range": !is_table, "instant": is_table, "format": format})
            };
            if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
                target.extend(more);
            }
            target
        })
        .collect();
    let mut custom = json!({});
    if matches!(panel.kind, Kind::Line | Kind::Bars) {
        let style = if panel.kind == Kind::Bars { "bars" } else { "line" };
        custom = json!({
            "drawStyle": style, "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
            "stacking": {"mode": if panel.kind == Kind::Bars { "normal" } else { "none" }, "group": "A"},
        });
    }
    let options = match panel.kind {
        Kind::Line | Kind::Bars => json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Kind::Stat => json!({
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "colorMode": "value",
            "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
        }),
        Kind::Table => json!({"showHeader": true, "cellHeight": "sm"}),
        Kind::Logs => json!({
            "showTime": true, "wrapLogMessage": true, "enableLogDetails": true, "sortOrder": "Descending",
            "dedupStrategy": "none", "prettifyLogMessage": false, "showCommonLabels": false, "showLabels": false,
        }),
    };
    json!({
        "id": id, "type": panel.kind.name(), "title": panel.title, "description": panel.description, "gridPos": place,
        "datasource": source, "targets": targets, "options": options,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
    })
}
