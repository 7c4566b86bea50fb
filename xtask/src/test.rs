//! `cargo xtask test`: everything that this machine can check.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Result, anyhow};
use clap::Args;
use goblin_tests::{process::Process, workspace};
use tokio::process::Command;

use crate::{
    build_edge,
    cargo_tool::CargoTool,
    check_config,
    interrupt::Interrupt,
    native, pins,
    progress::{self, say},
    python_sdk, rust_parts,
    test_results::TestResults,
};

/// What to test.
#[derive(Args)]
pub(crate) struct TestOptions {
    /// Count what is skipped as failed, and install what would make it so.
    #[arg(long)]
    require_all: bool,
    /// Run only tests with one of these in their names, and none of the checks.
    filters: Vec<String>,
}

/// Runs all checks and tests, and prints the counts on the last line. What cannot go on counts as failed.
pub(crate) async fn run(options: TestOptions) -> Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let mut results = TestResults::default();
    let finished = tokio::select! {
        finished = run_all(&options, &mut results) => finished,
        // What was started is killed as it is dropped.
        () = interrupt.next() => Err(anyhow!("interrupted")),
    };
    if finished.is_err() {
        count(&mut results, &finished);
    }
    println!();
    for (name, reason) in &results.reasons {
        println!("skipped {name}: {reason}");
    }
    let skips_count = options.require_all && results.skipped > 0;
    if skips_count {
        println!("with --require-all nothing may be skipped");
    }
    println!("{}", results.summary());
    Ok(if results.failed > 0 || skips_count { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run_all(options: &TestOptions, results: &mut TestResults) -> Result<()> {
    rust_parts::ensure_checkers().await?;
    build_edge::install_tools().await?;
    let python = match python_sdk::ensure().await {
        Ok(python) => Some(python),
        // The tests that need it skip themselves, or fail when nothing may be skipped.
        Err(error) => {
            say(&format!("- the tests with the SDKs for Python cannot run: {error:#}"));
            None
        }
    };
    if let Err(error) = native::ensure().await {
        // Likewise.
        say(&format!("- the tests with the servers of the observability stack cannot run: {error:#}"));
    }
    if options.filters.is_empty() {
        for (doing, log_name, command) in checks() {
            count(results, &progress::run(doing, log_name, command).await);
        }
        let checked = check_config::top_level();
        if checked.is_ok() {
            say("✓ checking the Worker's configuration");
        }
        count(results, &checked);
        deny(options, results).await;
    } else {
        say("- a filter is given: only tests run, no checks");
    }
    // Without a Worker the end-to-end tests would fail one by one.
    build_edge::run().await?;
    let mut build = workspace::command("cargo");
    // The same selection as `cargo test --workspace` has: with another, features differ and much is compiled again.
    build.args(["build", "--workspace", "--all-targets"]);
    progress::run("building everything", "build-all", build).await?;

    let every_name = [String::new()];
    let filters = if options.filters.is_empty() { &every_name[..] } else { &options.filters };
    for filter in filters {
        let mut test = workspace::command("cargo");
        test.args(["test", "--workspace", "--no-fail-fast"]);
        if !filter.is_empty() {
            test.arg(filter);
        }
        if let Some(python) = &python {
            test.env("GOBLIN_TEST_PYTHON", python);
        }
        if options.require_all {
            test.env("GOBLIN_TEST_REQUIRE_ALL", "1");
        }
        run_tests(test, results).await?;
    }
    Ok(())
}

fn checks() -> [(&'static str, &'static str, Command); 3] {
    let cargo = |arguments: &[&str]| {
        let mut command = workspace::command("cargo");
        command.args(arguments);
        command
    };
    [
        ("checking the format", "fmt", cargo(&["fmt", "--all", "--check"])),
        ("checking with clippy", "clippy", cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        (
            "checking the edge as WebAssembly with clippy",
            "clippy-wasm",
            cargo(&["clippy", "--package", "goblin-edge", "--target", rust_parts::WASM_TARGET, "--", "-D", "warnings"]),
        ),
    ]
}

async fn deny(options: &TestOptions, results: &mut TestResults) {
    let tool = CargoTool { name: "cargo-deny", version: pins::CARGO_DENY, command: "cargo-deny" };
    let on_path = workspace::command("cargo-deny").arg("--version").output().await.is_ok();
    let program = if on_path {
        Ok("cargo-deny".into())
    } else if options.require_all {
        tool.ensure().await
    } else {
        match tool.path() {
            Ok(path) if path.exists() => Ok(path),
            _ => {
                let hint = format!("`cargo install --locked cargo-deny@{}` brings it", pins::CARGO_DENY);
                return results
                    .skip("licences, sources and duplicates", &format!("cargo-deny is not installed; {hint}"));
            }
        }
    };
    let checked = async {
        let mut command = workspace::command(program?);
        command.args(["check", "licenses", "bans", "sources"]);
        progress::run("checking licences, sources and duplicates", "deny", command).await
    };
    count(results, &checked.await);
}

fn count(results: &mut TestResults, checked: &Result<()>) {
    if let Err(error) = checked {
        say(&format!("✗ {error:#}"));
    }
    results.check(checked.is_ok());
}

/// Runs `cargo test`, shows its lines and counts them.
async fn run_tests(command: Command, results: &mut TestResults) -> Result<()> {
    let process = Process::start("cargo test", command, Some(Arc::new(|line| println!("{line}"))))?;
    let status = process.exited().await;
    let failed_before = results.failed;
    let lines = process.log().lines();
    results.read(lines.iter().map(String::as_str));
    if !status.success() && results.failed == failed_before {
        // Nothing was counted for it: it did not compile, or a test ended the whole process.
        results.check(false);
    }
    Ok(())
}
