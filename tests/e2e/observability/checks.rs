//! The servers' own checkers accept their files.

use std::path::Path;

use goblin_tests::{
    native::{ALERTMANAGER, BUILDER, COLLECTOR, HINT, LOKI, Module, PROMETHEUS},
    workspace,
};
use tokio::process::Command;

use crate::suite::{Outcome, Suite, skip};

pub(super) fn register(suite: &mut Suite) {
    suite.test("promtool_accepts_the_configuration_and_the_rules", promtool_accepts);
    suite.test("promtool_sees_alerts_fire_and_resolve_as_they_must", promtool_sees_alerts);
    suite.test("amtool_accepts_the_configuration", amtool_accepts);
    suite.test("the_collector_accepts_its_configuration_and_overlays", the_collector_accepts);
    suite.test("loki_accepts_its_configuration", loki_accepts);
    suite.test("the_collectors_sources_are_what_its_manifest_says", the_sources_are_of_the_manifest);
}

/// Runs a checker below `infra/`, or says that it is not built.
async fn check(module: Module, program: &str, arguments: &[&str]) -> Outcome {
    let Some(program) = module.program(program) else { return skip(HINT) };
    let output = Command::new(&program).args(arguments).current_dir(infra()).output().await.unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?}:\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Outcome::Passed
}

fn infra() -> std::path::PathBuf {
    workspace::root().join("infra")
}

async fn promtool_accepts() -> Outcome {
    let rules = ["check", "rules", "--lint=all", "--lint-fatal", "recording_rules.yml", "alert_rules.yml"];
    match check(PROMETHEUS, "promtool", &rules).await {
        Outcome::Passed => check(PROMETHEUS, "promtool", &["check", "config", "prometheus.yml"]).await,
        other => other,
    }
}

async fn promtool_sees_alerts() -> Outcome {
    check(PROMETHEUS, "promtool", &["test", "rules", "alert_rules_test.yml"]).await
}

async fn amtool_accepts() -> Outcome {
    check(ALERTMANAGER, "amtool", &["check-config", "alertmanager.yml"]).await
}

async fn the_collector_accepts() -> Outcome {
    let overlays = ["secured.yaml", "remote-write.yaml", "prometheus-otlp.yaml"];
    let mut outcome = check(COLLECTOR, "otelcol", &["validate", "--config", "otel-collector-config.yaml"]).await;
    for overlay in overlays {
        let overlay = Path::new("collector").join(overlay).display().to_string();
        let arguments = ["validate", "--config", "otel-collector-config.yaml", "--config", &overlay];
        outcome = check(COLLECTOR, "otelcol", &arguments).await;
    }
    outcome
}

/// The builder makes the same of it again.
async fn the_sources_are_of_the_manifest() -> Outcome {
    let Some(builder) = BUILDER.program("builder") else { return skip(HINT) };
    let folder = tempfile::tempdir().unwrap();
    let manifest = std::fs::read_to_string(COLLECTOR.source().join("manifest.yaml")).unwrap();
    std::fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    let mut command = Command::new(builder);
    command.args(["--config", "manifest.yaml", "--skip-compilation", "--skip-get-modules"]);
    let output = command.current_dir(folder.path()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["components.go", "main.go", "main_others.go", "main_windows.go"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read(folder.path()) == read(&COLLECTOR.source()), "{name} is not what the manifest says");
    }
    Outcome::Passed
}

async fn loki_accepts() -> Outcome {
    check(LOKI, "loki", &["-config.file=loki.yaml", "-config.expand-env=true", "-verify-config"]).await
}
