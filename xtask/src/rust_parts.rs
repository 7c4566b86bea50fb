//! Parts of the Rust toolchain that not every installation has: the standard library for WebAssembly, rustfmt, clippy.

use anyhow::{Context as _, Result, bail};
use goblin_tests::workspace;

use crate::{exclusive::exclusive, progress};

/// The target of the edge.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Adds the target of the edge through rustup when the compiler has not got it.
pub(crate) async fn ensure_wasm_target() -> Result<()> {
    if has_wasm_target().await? {
        return Ok(());
    }
    let doing = format!("adding the Rust target {WASM_TARGET}");
    let _lock = exclusive(&workspace::cache_dir()?.join("rustup.lock"), &doing).await?;
    if has_wasm_target().await? {
        return Ok(());
    }
    rustup(&doing, &["target", "add", WASM_TARGET]).await
}

/// Adds rustfmt and clippy through rustup when they are missing.
pub(crate) async fn ensure_checkers() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let output = workspace::command("cargo").args([subcommand, "--version"]).output().await;
        if output.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let doing = format!("adding {component}");
        let _lock = exclusive(&workspace::cache_dir()?.join("rustup.lock"), &doing).await?;
        rustup(&doing, &["component", "add", component]).await?;
    }
    Ok(())
}

async fn has_wasm_target() -> Result<bool> {
    // Asked of the compiler, not of rustup: distributions ship Rust without it.
    let output = workspace::command("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]).output().await;
    let output = output.context("rustc cannot be run: install Rust with rustup (rustup.rs)")?;
    let dir = String::from_utf8(output.stdout)?;
    Ok(output.status.success() && std::path::Path::new(dir.trim()).is_dir())
}

async fn rustup(doing: &str, arguments: &[&str]) -> Result<()> {
    if workspace::command("rustup").arg("--version").output().await.is_err() {
        let what = arguments.last().copied().unwrap_or_default();
        bail!(
            "{doing} needs rustup, which is not installed. Install Rust with rustup (rustup.rs), or add your \
             distribution's package for {what}"
        );
    }
    let mut command = workspace::command("rustup");
    command.args(arguments);
    progress::run(doing, "rustup", command).await
}
