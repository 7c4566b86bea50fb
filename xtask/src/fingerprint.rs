//! What a build was made of, as one hash.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// Collects what goes into a build. Paths count relative to the checkout, so that moving it changes nothing.
pub(crate) struct Fingerprint<'a> {
    root: &'a Path,
    hash: Sha256,
}

impl<'a> Fingerprint<'a> {
    /// Of nothing yet.
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, hash: Sha256::new() }
    }

    /// Adds a named value.
    pub(crate) fn value(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
    }

    /// Adds a file, or all files of a directory except what is under `except`. What does not exist adds nothing.
    pub(crate) fn files(&mut self, path: &str, except: &[&str]) -> Result<()> {
        let except: Vec<PathBuf> = except.iter().map(|path| self.root.join(path)).collect();
        let mut files = Vec::new();
        collect(&self.root.join(path), &except, &mut files)?;
        files.sort();
        for file in files {
            let content = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let name = file.strip_prefix(self.root).unwrap_or(&file).to_string_lossy().into_owned();
            self.value(&name, &content);
        }
        Ok(())
    }

    /// The hash in hex.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

fn collect(path: &Path, except: &[PathBuf], files: &mut Vec<PathBuf>) -> Result<()> {
    if except.iter().any(|excepted| excepted == path) {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))? {
            collect(&entry?.path(), except, files)?;
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(root: &Path) -> String {
        let mut fingerprint = Fingerprint::new(root);
        fingerprint.files("edge", &["edge/build"]).unwrap();
        fingerprint.finish()
    }

    #[test]
    fn content_and_names_count_and_the_output_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("edge/src/lib.rs", "one");
        let first = of(dir.path());
        write("edge/build/index.js", "output");
        write("shared/src/lib.rs", "elsewhere");
        assert_eq!(of(dir.path()), first);
        write("edge/src/lib.rs", "two");
        let second = of(dir.path());
        assert_ne!(second, first);
        fs::rename(dir.path().join("edge/src/lib.rs"), dir.path().join("edge/src/bin.rs")).unwrap();
        assert_ne!(of(dir.path()), second);
    }
}
