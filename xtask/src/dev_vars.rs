//! `.dev.vars`: the Worker's variables and secrets for local work, which wrangler reads by itself.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use goblin_tests::{secret, signing_key};

use crate::{dotenv, progress::say};

const KEY: &str = "EDGE_SIGNING_KEY";
const ISSUER: &str = "API_KEY_ISSUER_SECRETS";

/// What the file says, after it was made when there was none.
pub(crate) struct DevVars {
    text: String,
}

impl DevVars {
    /// Reads the file, after making it where there is none, with the two secrets that edge and backend share. One that
    /// an older file lacks is added.
    pub(crate) fn ensure(path: &Path) -> Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        let is_new = !path.exists();
        if is_new {
            let heading = "# Made by `cargo xtask dev`; see .dev.vars.example.\n";
            let signing = format!("{heading}{KEY}={}\n{ISSUER}={}\n", signing_key::fresh("dev")?, secret::fresh()?);
            // It holds secrets, if only local ones.
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(cannot)?;
            file.write_all(signing.as_bytes()).with_context(cannot)?;
            say("✓ .dev.vars was made, with fresh secrets that edge and backend share");
        }
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut vars = Self { text };
        if vars.get(ISSUER).is_none() {
            let end = if vars.text.ends_with('\n') { "" } else { "\n" };
            let addition = format!("{end}{ISSUER}={}\n", secret::fresh()?);
            let mut file = OpenOptions::new().append(true).open(path).with_context(cannot)?;
            file.write_all(addition.as_bytes()).with_context(cannot)?;
            vars.text.push_str(&addition);
            say(&format!("✓ {ISSUER} was added to .dev.vars, from which API keys are made"));
        }
        Ok(vars)
    }

    /// What API keys are made with.
    pub(crate) fn issuer_secrets(&self) -> Result<String> {
        self.needed(ISSUER)
    }

    /// The key that edge and backend share.
    pub(crate) fn signing_key(&self) -> Result<String> {
        self.needed(KEY)
    }

    fn needed(&self, name: &str) -> Result<String> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => bail!(
                "{name} is missing in .dev.vars: add it as .dev.vars.example shows, or remove .dev.vars for a new one"
            ),
        }
    }

    /// The last value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        dotenv::parse(&self.text).into_iter().rfind(|(found, _)| *found == name).map(|(_, value)| value)
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
    fn a_secret_that_an_older_file_lacks_is_added_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".dev.vars");
        fs::write(&path, "EDGE_SIGNING_KEY=dev:mine").unwrap();
        let issuer = DevVars::ensure(&path).unwrap().issuer_secrets().unwrap();
        assert_eq!(issuer.len(), 64);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("EDGE_SIGNING_KEY=dev:mine\nAPI_KEY_ISSUER_SECRETS={issuer}\n"));
        assert_eq!(DevVars::ensure(&path).unwrap().issuer_secrets().unwrap(), issuer);
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
