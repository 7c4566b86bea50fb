//! Where things are: the checkout, what cargo built, the JavaScript tools, the cache.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context as _, Result};

/// The top of the checkout.
#[must_use]
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        crate_dir.parent().unwrap_or(crate_dir).to_owned()
    });
    &ROOT
}

/// The directory into which cargo put the running program, `target/debug` as a rule. Asked of the program itself, as
/// the target directory can be moved by several settings.
pub fn artifact_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("the path of the running program is unknown")?;
    let dir = program.parent().context("the running program is in no directory")?;
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir }.to_owned())
}

/// Tools that are installed once for all checkouts: `GOBLIN_CACHE_DIR`, else `goblin-assistant` in the user's cache
/// directory.
pub fn cache_dir() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("GOBLIN_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("goblin-assistant")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/goblin-assistant")))
        .context("no place for tools is known: set GOBLIN_CACHE_DIR to a directory")
}

/// The commands that npm installed.
#[must_use]
pub fn node_bin_dir() -> PathBuf {
    root().join("node_modules/.bin")
}

/// The Node that comes with the lock file; where npm has none for this platform, whatever `node` is on the `PATH`.
#[must_use]
pub fn node() -> PathBuf {
    let pinned = node_bin_dir().join("node");
    if pinned.exists() { pinned } else { PathBuf::from("node") }
}

/// The script that Node runs as `wrangler`.
#[must_use]
pub fn wrangler_entry() -> PathBuf {
    root().join("node_modules/wrangler/bin/wrangler.js")
}

/// The `PATH` with npm's commands first, so that the pinned Node runs them on a machine whose own is older.
#[must_use]
pub fn path_with_node() -> OsString {
    let mut path = node_bin_dir().into_os_string();
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

/// Whether cargo sets this variable for the programs it runs. Children that run cargo again must not see them: build
/// scripts and `env!` watch some, and everything would be rebuilt each time the two ways of starting alternate. The
/// user's own settings (`CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_BUILD_JOBS`, `RUSTFLAGS`, …) stay.
#[must_use]
pub fn is_set_by_cargo(variable: &str) -> bool {
    const EXACT: [&str; 6] = [
        "CARGO",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
        "RUST_RECURSION_COUNT",
    ];
    const PREFIXES: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_", "CARGO_FEATURE_"];
    EXACT.contains(&variable) || PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
}

/// A command in the checkout with npm's commands first on its `PATH` and without what an outer cargo set.
#[must_use]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    command.current_dir(root()).env("PATH", path_with_node());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo) {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_own_variables_are_told_from_the_users() {
        for name in ["CARGO", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_BIN_EXE_goblin-backend"] {
            assert!(is_set_by_cargo(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "RUSTFLAGS", "RUST_LOG"] {
            assert!(!is_set_by_cargo(name), "{name}");
        }
    }

    #[test]
    fn the_root_is_the_top_of_the_checkout() {
        assert!(root().join("wrangler.toml").exists());
        assert!(artifact_dir().unwrap().join("deps").is_dir());
    }
}
