//! The official SDKs for Python, for the end-to-end tests, in a virtual environment in the cache directory.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use goblin_tests::workspace;
use sha2::{Digest as _, Sha256};

use crate::{exclusive::exclusive, progress};

/// The interpreter that finds the SDK; installs it first when it is not there. An error says what is missing.
pub(crate) async fn ensure() -> Result<PathBuf> {
    let requirements = workspace::root().join("tests/sdk/requirements.txt");
    let pins = fs::read(&requirements).with_context(|| format!("{} cannot be read", requirements.display()))?;
    let Ok(version) = workspace::command("python3").arg("--version").output().await else {
        bail!("Python is missing: install Python 3.9 or newer (python.org, or your system's package `python3`)");
    };
    // Another Python is another environment: the old one may be gone.
    let mut hash = Sha256::new();
    hash.update(&version.stdout);
    hash.update(&pins);
    let name = hex::encode(hash.finalize());
    let environment = workspace::cache_dir()?.join("python").join(&name[..16]);
    let (interpreter, marker) = (environment.join("bin/python"), environment.join(".complete"));
    if progress::is_marked(&marker, &name) {
        return Ok(interpreter);
    }
    let doing = "installing the SDKs for Python (once)";
    let _lock = exclusive(&environment.with_added_extension("lock"), doing).await?;
    if progress::is_marked(&marker, &name) {
        return Ok(interpreter);
    }
    let has_venv = workspace::command("python3").args(["-c", "import venv, ensurepip"]).output().await?;
    if !has_venv.status.success() {
        bail!("Python lacks its module venv: install it (on Debian the package `python3-venv`)");
    }
    let mut create = workspace::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&environment);
    progress::run("making a virtual environment for Python", "python-venv", create).await?;
    let mut install = workspace::command(&interpreter);
    install.args(["-m", "pip", "install", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    progress::run(doing, "pip", install).await?;
    fs::write(&marker, name).with_context(|| format!("{} cannot be written", marker.display()))?;
    Ok(interpreter)
}
