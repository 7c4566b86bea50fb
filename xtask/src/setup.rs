//! `cargo xtask setup`: everything that the other commands need, installed.

use anyhow::Result;
use goblin_tests::{
    postgres::{self, Postgres},
    redis::{self, Redis},
};

use crate::{build_edge, progress::say, python_sdk, rust_parts};

/// Installs everything; what only some tests need may be missing.
pub(crate) async fn run() -> Result<()> {
    rust_parts::ensure_checkers().await?;
    build_edge::install_tools().await?;
    if let Err(error) = python_sdk::ensure().await {
        say(&format!("- the tests with the SDKs for Python will be skipped: {error:#}"));
    }
    let servers = [(Postgres::installed().is_some(), postgres::HINT), (Redis::installed().is_some(), redis::HINT)];
    for (_, hint) in servers.into_iter().filter(|(is_there, _)| !is_there) {
        say(&format!("- the tests with a real server will be skipped: {hint}"));
    }
    say("✓ all set up");
    Ok(())
}
