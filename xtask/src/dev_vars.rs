//! `.dev.vars`: the Worker's variables and secrets for local work, which wrangler reads by itself.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use goblin_tests::signing_key;

use crate::progress::say;

const KEY: &str = "EDGE_SIGNING_KEY";

/// What the file says, after it was made when there was none.
pub(crate) struct DevVars {
    text: String,
}

impl DevVars {
    /// Reads the file, or makes it with a fresh signing key.
    pub(crate) fn ensure(path: &Path) -> Result<Self> {
        if !path.exists() {
            let text =
                format!("# Made by `cargo xtask dev`; see .dev.vars.example.\n{KEY}={}\n", signing_key::fresh("dev")?);
            let cannot = || format!("{} cannot be written", path.display());
            // It holds a secret, if only a local one.
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(cannot)?;
            file.write_all(text.as_bytes()).with_context(cannot)?;
            say("✓ .dev.vars was made, with a fresh key that edge and backend share");
        }
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { text })
    }

    /// The key that edge and backend share.
    pub(crate) fn signing_key(&self) -> Result<String> {
        match self.get(KEY) {
            Some(key) if !key.is_empty() => Ok(key.to_owned()),
            _ => bail!(
                "{KEY} is missing in .dev.vars: add it as .dev.vars.example shows, or remove .dev.vars for a new one"
            ),
        }
    }

    /// The last value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut assignments = self.text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = assignments.rfind(|(key, _)| key.trim().trim_start_matches("export ") == name)?;
        let value = value.trim();
        let unquoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        Some(unquoted.unwrap_or(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_once_and_then_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".dev.vars");
        let first = DevVars::ensure(&path).unwrap().signing_key().unwrap();
        let (id, secret) = first.split_once(':').unwrap();
        assert_eq!((id, secret.len()), ("dev", 64));
        assert_eq!(DevVars::ensure(&path).unwrap().signing_key().unwrap(), first);
    }

    #[test]
    fn values_are_read_as_wrangler_reads_them() {
        let text =
            "# EDGE_SIGNING_KEY=no\nEDGE_SIGNING_KEY=old\n EDGE_SIGNING_KEY = \"dev:quoted\"\nOTHER='a=b'\n".to_owned();
        let vars = DevVars { text };
        assert_eq!(vars.signing_key().unwrap(), "dev:quoted");
        assert_eq!((vars.get("OTHER"), vars.get("NONE")), (Some("a=b"), None));
        assert!(DevVars { text: String::new() }.signing_key().is_err());
    }
}
