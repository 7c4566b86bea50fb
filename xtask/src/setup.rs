//! `cargo xtask setup`: everything that the other commands need, installed.

use anyhow::Result;

use crate::{build_edge, progress::say, python_sdk, rust_parts};

/// Installs everything; what only some tests need may be missing.
pub(crate) async fn run() -> Result<()> {
    rust_parts::ensure_checkers().await?;
    build_edge::install_tools().await?;
    if let Err(error) = python_sdk::ensure().await {
        say(&format!("- the tests with the SDKs for Python will be skipped: {error:#}"));
    }
    say("✓ all set up");
    Ok(())
}
