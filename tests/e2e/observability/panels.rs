//! Every query of every dashboard finds something under traffic, and so does every series that a rule reads.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use goblin_tests::workspace;
use serde_json::Value;
use tokio::process::Command;

use super::{PATIENCE, Watched};
use crate::suite::{Outcome, Suite, skip};

pub(super) fn register(suite: &mut Suite) {
    suite.test("every_query_of_every_dashboard_finds_something", every_query_finds_something);
    suite.test("every_recorded_series_is_there", every_recorded_series_is_there);
    suite.test("grafana_s_own_types_know_all_of_the_dashboards", grafanas_types_know_the_dashboards);
}

fn dashboards() -> Vec<PathBuf> {
    let infra = workspace::root().join("infra");
    let mut files = vec![infra.join("grafana-dashboard.json")];
    let others = fs::read_dir(infra.join("grafana")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(others.filter(|path| path.extension().is_some_and(|ending| ending == "json")));
    files
}

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    panel: String,
    is_loki: bool,
    expression: String,
}

fn questions() -> BTreeSet<Question> {
    let mut questions = BTreeSet::new();
    for path in dashboards() {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap();
                let chosen = [("$environment", ".*"), ("$service", ".*"), ("$__rate_interval", "30s")];
                let expression =
                    chosen.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
                questions.insert(Question {
                    panel: format!("{} / {}", dashboard["title"], panel["title"]),
                    is_loki: target["datasource"]["type"] == "loki",
                    expression,
                });
            }
        }
    }
    questions
}

async fn every_query_finds_something() -> Outcome {
    let watched = match Watched::shared().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    let mut open = questions();
    assert!(open.len() > 50, "{} queries are few", open.len());
    let asking = watched.ask();
    let all = async {
        while !open.is_empty() {
            watched.traffic().await;
            let mut still = BTreeSet::new();
            for question in open.clone() {
                let found = if question.is_loki {
                    asking.has_lines(&question.expression).await
                } else {
                    asking.has_values(&question.expression).await
                };
                if !found {
                    still.insert(question);
                }
            }
            open = still;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
    assert!(in_time, "nothing is found by {open:#?}");
    Outcome::Passed
}

async fn every_recorded_series_is_there() -> Outcome {
    let watched = match Watched::shared().await {
        Ok(watched) => watched,
        Err(outcome) => return outcome,
    };
    let rules = fs::read_to_string(workspace::root().join("infra/recording_rules.yml")).unwrap();
    let recorded = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned);
    let mut missing: BTreeSet<String> = recorded.collect();
    assert!(missing.len() >= 14, "{missing:?}");
    let asking = watched.ask();
    let all = async {
        while !missing.is_empty() {
            watched.traffic().await;
            let names = asking.metric_names().await;
            missing.retain(|name| !names.contains(name));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
    assert!(in_time, "{missing:?} are not recorded");
    Outcome::Passed
}

async fn grafanas_types_know_the_dashboards() -> Outcome {
    let Some(python) = std::env::var_os("GOBLIN_TEST_PYTHON") else {
        return skip("Grafana's types for Python are not installed: `cargo xtask test` installs them");
    };
    let script = workspace::root().join("tests/sdk/grafana_schema.py");
    let output = Command::new(python).arg(script).args(dashboards()).output().await.unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.ends_with("panels")).count(), dashboards().len(), "{told}");
    Outcome::Passed
}
