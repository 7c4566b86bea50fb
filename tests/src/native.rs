//! The servers of the observability stack, built from their modules where there are no containers: which there are, and
//! where they are once `cargo xtask` has built them, each version once per machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::workspace;

/// How to get them.
pub const HINT: &str = "the servers of the observability stack are not built: `cargo xtask stack build` builds them, \
     which needs Go 1.26 (go.dev)";

/// How to get the one that no module has.
pub const BLACKBOX_HINT: &str = "the blackbox exporter is missing: on Debian \
     `apt-get install --no-install-recommends prometheus-blackbox-exporter` brings it";

/// A folder below `infra/native`, with what pins its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// The folder's name.
    pub folder: &'static str,
    /// What is built of it: the program, and its package.
    pub programs: &'static [(&'static str, &'static str)],
    /// What the linker is told, for the program to know its version.
    pub linker: &'static str,
}

/// The Collector, of sources that its builder makes of `manifest.yaml`.
pub const COLLECTOR: Module = Module { folder: "collector", programs: &[("otelcol", ".")], linker: "" };

/// Jaeger 2.
pub const JAEGER: Module =
    Module { folder: "jaeger", programs: &[("jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger")], linker: "" };

/// Loki.
pub const LOKI: Module =
    Module { folder: "loki", programs: &[("loki", "github.com/grafana/loki/v3/cmd/loki")], linker: "" };

/// Prometheus, and what checks its rules.
pub const PROMETHEUS: Module = Module {
    folder: "prometheus",
    programs: &[
        ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
        ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
    ],
    linker: "-X github.com/prometheus/common/version.Version=3.16.0",
};

/// Alertmanager, and what checks its configuration.
pub const ALERTMANAGER: Module = Module {
    folder: "alertmanager",
    programs: &[
        ("alertmanager", "github.com/prometheus/alertmanager/cmd/alertmanager"),
        ("amtool", "github.com/prometheus/alertmanager/cmd/amtool"),
    ],
    linker: "-X github.com/prometheus/common/version.Version=0.31.1",
};

/// What makes the Collector's sources of its manifest.
pub const BUILDER: Module =
    Module { folder: "builder", programs: &[("builder", "go.opentelemetry.io/collector/cmd/builder")], linker: "" };

/// All of them.
pub const ALL: [Module; 6] = [BUILDER, COLLECTOR, JAEGER, LOKI, PROMETHEUS, ALERTMANAGER];

impl Module {
    /// Where what pins it stands.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        workspace::root().join("infra/native").join(self.folder)
    }

    /// Where its programs are, or would be. Other sources are another place.
    pub fn place(&self) -> Result<PathBuf> {
        let key = fingerprint(&self.source())?;
        Ok(workspace::cache_dir()?.join("native").join(format!("{}-{key}", self.folder)))
    }

    /// A program of it; `None`: it is not built.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.place().ok().map(|place| place.join(name)).filter(|program| program.is_file())
    }
}

/// The one from the system's packages.
#[must_use]
pub fn blackbox() -> Option<PathBuf> {
    ["prometheus-blackbox-exporter", "blackbox_exporter"].into_iter().find_map(crate::server::on_path)
}

/// Of names and contents.
fn fingerprint(folder: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        let bytes = fs::read(folder.join(&name)).with_context(|| format!("{} cannot be read", name.display()))?;
        hash.update(name.as_encoded_bytes());
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(&bytes);
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("go.mod"), "a").unwrap();
        let first = fingerprint(folder.path()).unwrap();
        fs::write(folder.path().join("go.mod"), "b").unwrap();
        let second = fingerprint(folder.path()).unwrap();
        fs::write(folder.path().join("go.sum"), "").unwrap();
        assert!(first != second && second != fingerprint(folder.path()).unwrap());
    }

    #[test]
    fn every_module_is_pinned() {
        for module in ALL {
            for name in ["go.mod", "go.sum"] {
                assert!(module.source().join(name).is_file(), "{} has no {name}", module.folder);
            }
            assert!(module.place().unwrap().to_string_lossy().contains(module.folder));
        }
    }
}
