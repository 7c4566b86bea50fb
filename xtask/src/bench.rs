//! `cargo xtask bench`: builds for release, then lets the harness measure.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use goblin_tests::workspace;

use crate::{build_edge, progress};

/// Prints the figures as Markdown on standard output.
pub(crate) async fn run() -> Result<ExitCode> {
    build_edge::run().await?;
    let mut build = workspace::command("cargo");
    build.args(["build", "--release", "--package", "goblin-backend", "--package", "goblin-tests", "--bins"]);
    progress::run("building for release", "build-release", build).await?;
    let mut bench = workspace::command("cargo");
    bench.args(["run", "--quiet", "--release", "--package", "goblin-tests", "--bin", "goblin-bench"]);
    let status = bench.status().await.context("cargo cannot be run")?;
    ensure!(status.success(), "the measurement failed");
    Ok(ExitCode::SUCCESS)
}
