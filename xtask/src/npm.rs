//! The JavaScript tools, from package-lock.json into `node_modules`.

use std::fs;

use anyhow::{Context as _, Result, bail};
use goblin_tests::workspace;
use sha2::{Digest as _, Sha256};

use crate::{exclusive::exclusive, progress};

/// Runs `npm ci` when `node_modules` is not what package-lock.json says.
pub(crate) async fn ensure() -> Result<()> {
    let root = workspace::root();
    let mut hash = Sha256::new();
    for name in ["package.json", "package-lock.json"] {
        hash.update(fs::read(root.join(name)).with_context(|| format!("{name} cannot be read"))?);
    }
    let wanted = hex::encode(hash.finalize());
    let marker = root.join("node_modules/.goblin-lock-hash");
    if progress::is_marked(&marker, &wanted) {
        return Ok(());
    }
    let doing = "installing the JavaScript tools (npm ci)";
    let _lock = exclusive(&workspace::artifact_dir()?.join("npm.lock"), doing).await?;
    if progress::is_marked(&marker, &wanted) {
        return Ok(());
    }
    // Without npm's commands first: what runs npm itself is the machine's own Node.
    let path = std::env::var_os("PATH").unwrap_or_default();
    if workspace::command("npm").env("PATH", &path).arg("--version").output().await.is_err() {
        bail!(
            "npm is missing. Install Node.js with npm, any version that is still maintained (nodejs.org, or your \
             system's packages `nodejs` and `npm`); the Node that the tools need comes through npm then"
        );
    }
    let mut install = workspace::command("npm");
    install.env("PATH", path).args(["ci", "--no-audit", "--no-fund"]);
    progress::run(doing, "npm", install).await?;
    check_node().await?;
    fs::write(&marker, wanted).with_context(|| format!("{} cannot be written", marker.display()))
}

/// The pinned Node has to run here, or the machine's own be new enough.
async fn check_node() -> Result<()> {
    let node = workspace::node();
    let output = workspace::command(&node).arg("--version").output().await;
    let version = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => bail!("{} does not run: install Node.js 22.12 or newer (nodejs.org)", node.display()),
    };
    if is_new_enough(&version) {
        return Ok(());
    }
    bail!("npm has no Node for this platform, and the machine's own is {version}: install 22.12 or newer (nodejs.org)")
}

/// What wrangler asks for: 22.12.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(22), Some(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["v22.12.0", "v22.23.3", "v23.0.0", "v100.1.1"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["v20.20.2", "v22.9.0", "v9.99.0", ""] {
            assert!(!is_new_enough(version), "{version}");
        }
    }

    #[test]
    fn the_lock_file_is_complete_and_names_no_registry() {
        let text = fs::read_to_string(workspace::root().join("package-lock.json")).unwrap();
        assert!(!text.contains("\"resolved\""), "package-lock.json names a registry: is .npmrc in force?");
        let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (name, package) in packages {
            for (optional, version) in package["optionalDependencies"].as_object().into_iter().flatten() {
                // npm leaves out what a registry lacks, and `npm ci` then refuses the whole file.
                let entry = packages.get(&format!("node_modules/{optional}"));
                assert!(entry.is_some(), "{optional} {version} of {name} is missing: add its entry by hand");
            }
        }
    }
}
