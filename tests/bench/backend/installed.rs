//! Other gateways in the cache of tools, each version installed once.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use goblin_tests::workspace;
use tokio::process::Command;

/// The folder of `name` (which has the version in it), into which `install` was run to its end, now or before. An error
/// says why it could not.
pub(super) async fn ensure(name: &str, install: impl AsyncFnOnce(PathBuf) -> Result<()>) -> Result<PathBuf> {
    let folder = workspace::cache_dir()?.join("bench").join(name);
    let marker = folder.join(".complete");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Held until the end of this function; two runs must not install the same thing twice.
    let lock = File::create(folder.with_added_extension("lock"))?;
    lock.lock()?;
    if !marker.exists() {
        eprintln!("installing {name} (once) …");
        install(folder.clone()).await?;
        fs::write(&marker, "")?;
    }
    Ok(folder)
}

/// Runs a step of an installation; its error has the end of what it said.
pub(super) async fn step(mut command: Command) -> Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("{program} could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed ({}): {}", output.status, said.trim().lines().next_back().unwrap_or_default());
    }
    Ok(())
}

/// A port of 127.0.0.1 that is free now.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
