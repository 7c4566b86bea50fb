//! `cargo xtask bench`: builds for release, then lets the harness measure.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use goblin_tests::workspace;

use crate::{build_edge, progress};

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchOptions {
    /// One part only; without it, all.
    part: Option<Part>,
    /// Short rounds of the backend's parts, to see that the measurement works; the figures say nothing.
    #[arg(long)]
    quick: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The Worker, in workerd.
    Edge,
    /// The backend, against its upstream and other gateways.
    Backend,
    /// The backend with keys, limits and ledger, against the same without them; and a ledger of ten million rows.
    Accounting,
    /// The backend with all of its telemetry, against the same without.
    Telemetry,
}

/// Prints the figures as Markdown on standard output.
pub(crate) async fn run(options: BenchOptions) -> Result<ExitCode> {
    if matches!(options.part, None | Some(Part::Edge)) {
        build_edge::run().await?;
    }
    build_for_release().await?;
    let mut bench = workspace::command(released("goblin-bench")?);
    bench.args(options.part.map(|part| match part {
        Part::Edge => "edge",
        Part::Backend => "backend",
        Part::Accounting => "accounting",
        Part::Telemetry => "telemetry",
    }));
    bench.args(options.quick.then_some("--quick"));
    let status = bench.status().await.context("goblin-bench cannot be run")?;
    ensure!(status.success(), "the measurement failed");
    Ok(ExitCode::SUCCESS)
}

/// The backend, and the harness's programs beside it.
pub(crate) async fn build_for_release() -> Result<()> {
    let mut build = workspace::command("cargo");
    build.args(["build", "--release", "--package", "goblin-backend", "--package", "goblin-tests", "--bins"]);
    progress::run("building for release", "build-release", build).await
}

/// Where that put a program. `cargo run` of one package would choose other features, and compile most of it again.
pub(crate) fn released(program: &str) -> Result<PathBuf> {
    Ok(workspace::artifact_dir()?.with_file_name("release").join(program))
}
