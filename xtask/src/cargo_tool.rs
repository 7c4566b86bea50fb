//! Commands that cargo installs, each version once per machine in the cache directory.

use std::path::PathBuf;

use anyhow::{Result, bail};
use goblin_tests::workspace;

use crate::{exclusive::exclusive, progress};

/// A crate with a command in it.
pub(crate) struct CargoTool<'a> {
    /// The crate.
    pub name: &'a str,
    /// Its version, exactly.
    pub version: &'a str,
    /// The command.
    pub command: &'a str,
}

impl CargoTool<'_> {
    /// Where the command is, or would be.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        Ok(self.install_root()?.join("bin").join(self.command))
    }

    /// The command, installed first when it is not there.
    pub(crate) async fn ensure(&self) -> Result<PathBuf> {
        let path = self.path()?;
        if path.exists() {
            return Ok(path);
        }
        let install_root = self.install_root()?;
        let doing = format!("installing {} {} (once, takes minutes)", self.name, self.version);
        let _lock = exclusive(&install_root.with_added_extension("lock"), &doing).await?;
        if path.exists() {
            return Ok(path);
        }
        let mut install = workspace::command("cargo");
        install.args(["install", "--locked", "--version", self.version, "--root"]).arg(&install_root).arg(self.name);
        // The product's target directory and flags are not the tool's.
        install.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        // Outside the checkout, so that its .cargo/config.toml does not apply.
        install.current_dir(workspace::cache_dir()?);
        progress::run(&doing, self.name, install).await?;
        if !path.exists() {
            bail!("{} {} was installed without the command {}", self.name, self.version, self.command);
        }
        Ok(path)
    }

    fn install_root(&self) -> Result<PathBuf> {
        Ok(workspace::cache_dir()?.join("tools").join(format!("{}-{}", self.name, self.version)))
    }
}
