//! The commands people type.

mod bench;
mod build_edge;
mod cargo_tool;
mod check_config;
mod dev;
mod dev_vars;
mod dotenv;
mod exclusive;
mod fingerprint;
mod generate;
mod interrupt;
mod native;
mod npm;
mod pins;
mod ports;
mod progress;
mod python_sdk;
mod rust_parts;
mod setup;
mod soak;
mod stack;
mod test;
mod test_results;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use interrupt::Interrupt;

/// The commands people type in this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the edge and the backend on this machine, all set-up and builds included.
    Dev(dev::DevOptions),
    /// Check and test everything that this machine can, all set-up and builds included.
    Test(test::TestOptions),
    /// Measure how fast the product is, as ratios within one run; release builds, about half an hour of load.
    Bench(bench::BenchOptions),
    /// Put the backend under mixed traffic for a while and check that nothing is left behind; a release build.
    Soak(soak::SoakOptions),
    /// Install what the other commands need.
    Setup,
    /// Say all that is wrong with the Worker's configuration, before a deployment finds out.
    CheckConfig(check_config::CheckConfigOptions),
    /// Write what is generated and committed: the edge's list of crawlers, the rules of Prometheus.
    Generate(generate::GenerateOptions),
    /// The observability stack of infra/, natively.
    #[command(subcommand)]
    Stack(stack::StackCommand),
    /// Build the Worker into edge/build, its tools included (the build command of wrangler.toml).
    BuildEdge,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Dev(options) => dev::run(options).await,
        Command::Test(options) => test::run(options).await,
        Command::CheckConfig(options) => check_config::run(&options),
        Command::Bench(options) => bench::run(options).await,
        Command::Soak(options) => soak::run(&options).await,
        Command::Setup => until_interrupted(setup::run()).await,
        Command::Generate(options) => until_interrupted(generate::run(options)).await,
        Command::Stack(command) => stack::run(command).await,
        Command::BuildEdge => until_interrupted(build_edge::run()).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Children run in process groups of their own, which no Ctrl-C reaches: they are killed as the work is dropped.
async fn until_interrupted(work: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    tokio::select! {
        result = work => result.map(|()| ExitCode::SUCCESS),
        () = interrupt.next() => bail!("interrupted"),
    }
}
