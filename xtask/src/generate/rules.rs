//! `infra/recording_rules.yml` and `infra/alert_rules.yml`, from the objectives and the vocabulary.

mod alerts;
mod objectives;

use std::fmt::Write as _;

/// What is recorded.
pub(super) fn recording() -> String {
    written("Objectives, recorded under the names that Sloth gives them.", &objectives::recorded())
}

/// What somebody is told.
pub(super) fn alerting() -> String {
    let mut groups = vec![objectives::alerts()];
    groups.extend(alerts::groups());
    written("What somebody is told. Each alert has a runbook below docs/runbooks.", &groups)
}

/// Names of all alerts, for their runbooks.
#[cfg(test)]
pub(super) fn names() -> Vec<String> {
    let groups = std::iter::once(objectives::alerts()).chain(alerts::groups());
    let mut names: Vec<String> = groups.flat_map(|group| group.rules).map(|rule| rule.name).collect();
    names.sort();
    names.dedup();
    names
}

/// Rules that are looked at together.
struct Group {
    name: &'static str,
    rules: Vec<Rule>,
}

/// One rule.
struct Rule {
    /// The series that it makes, or the alert.
    name: String,
    /// What it is made of.
    expression: String,
    labels: Vec<(&'static str, String)>,
    alert: Option<Alert>,
}

/// What makes it an alert.
struct Alert {
    /// How long it must hold.
    hold: &'static str,
    summary: &'static str,
    description: String,
    dashboard: &'static str,
}

fn written(about: &str, groups: &[Group]) -> String {
    let mut text = format!("# {about}\n# Written by `cargo xtask generate`: change what it is made of.\ngroups:\n");
    for group in groups {
        let _ = write!(text, "  - name: {}\n    rules:\n", group.name);
        for rule in &group.rules {
            write_rule(&mut text, rule);
        }
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule) {
    let kind = if rule.alert.is_some() { "alert" } else { "record" };
    let _ = write!(text, "      - {kind}: {}\n        expr: |\n", rule.name);
    for line in rule.expression.lines() {
        let _ = writeln!(text, "          {line}");
    }
    if let Some(alert) = &rule.alert {
        let _ = writeln!(text, "        for: {}", alert.hold);
    }
    if !rule.labels.is_empty() {
        text.push_str("        labels:\n");
        for (label, value) in &rule.labels {
            let _ = writeln!(text, "          {label}: {}", quoted(value));
        }
    }
    if let Some(alert) = &rule.alert {
        text.push_str("        annotations:\n");
        let runbook = format!("docs/runbooks/{}.md", rule.name);
        let dashboard = format!("/d/{}", alert.dashboard);
        for (name, value) in [
            ("summary", alert.summary),
            ("description", &alert.description),
            ("runbook_url", &runbook),
            ("dashboard_url", &dashboard),
        ] {
            let _ = writeln!(text, "          {name}: {}", quoted(value));
        }
    }
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
