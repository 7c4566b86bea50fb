//! Versions of the tools that are no dependency of any crate and stand in no other lock file.

use std::fs;

use anyhow::{Context as _, Result};
use goblin_tests::workspace;

/// Turns the edge into a Worker. Goes with the `worker` crate in edge/Cargo.toml.
pub(crate) const WORKER_BUILD: &str = "0.8.7";
/// Checks licences, sources and duplicate versions.
pub(crate) const CARGO_DENY: &str = "0.20.2";

/// The version of `wasm-bindgen-cli`: the crate's in Cargo.lock, since the two speak a format of their own.
pub(crate) fn wasm_bindgen() -> Result<String> {
    let path = workspace::root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    locked_version(&lock, "wasm-bindgen").context("Cargo.lock holds no wasm-bindgen: run `cargo update -p goblin-edge`")
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_that_of_the_exact_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.129\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen").as_deref(), Some("0.2.129"));
        assert_eq!(locked_version(lock, "bindgen"), None);
    }
}
