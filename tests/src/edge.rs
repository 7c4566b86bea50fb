//! The edge as its users start it: `wrangler dev` with the wrangler.toml at the top of the checkout.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    process::{LineSink, Process},
    workspace,
};

/// From start to ready, the Worker's build included (which `cargo xtask` has done before, as a rule).
const START_BOUND: Duration = Duration::from_mins(10);

/// How long wrangler may take to end workerd.
const END_BOUND: Duration = Duration::from_secs(10);

/// How to start an edge. The default listens on a free port and ignores the user's `.dev.vars`.
#[derive(Clone, Default)]
pub struct EdgeOptions {
    /// Port on 127.0.0.1; default a free one.
    pub port: Option<u16>,
    /// Variables and secrets of the Worker.
    pub vars: Vec<(String, String)>,
    /// Whether `.dev.vars` and the state under `.wrangler` apply. Otherwise nothing is shared with any other instance.
    pub users_configuration: bool,
    /// Where the Worker's state is kept, for an edge that takes over what another left. Default a folder of its own,
    /// which goes with it; with the user's configuration, theirs.
    pub persist_to: Option<PathBuf>,
    /// Whether a KV namespace is bound for the catalogue, which `wrangler.toml` only shows how to do.
    pub binds_catalogue: bool,
    /// What is done with each line of its log beside keeping it.
    pub sink: Option<LineSink>,
}

/// A running edge. Dropping it kills it, workerd included.
pub struct Edge {
    process: Arc<Process>,
    address: SocketAddr,
    /// Registry and settings of this instance, and its state unless that is kept elsewhere.
    _directory: TempDir,
}

impl Edge {
    /// Starts `wrangler dev` and waits until it says that it is ready.
    pub async fn start(options: EdgeOptions) -> Result<Self> {
        let wrangler = workspace::wrangler_entry();
        ensure!(wrangler.exists(), "wrangler is not installed: run `cargo xtask setup`, or `npm ci`");
        let directory = tempfile::tempdir()?;
        // Port 0 is the system's choice, made when the socket is bound: nobody can come between.
        let port = options.port.unwrap_or(0).to_string();
        let mut command = workspace::command(workspace::node());
        let config = if options.binds_catalogue { with_catalogue(directory.path())? } else { "wrangler.toml".into() };
        command.arg(wrangler).arg("dev").arg("--config").arg(config).args(["--ip", "127.0.0.1", "--port", &port]);
        command.args(["--inspector-port", "0", "--show-interactive-dev-session=false"]);
        if !options.users_configuration {
            let no_variables = directory.path().join("no-variables.env");
            std::fs::write(&no_variables, "")?;
            command.arg("--env-file").arg(no_variables);
        }
        let own_state = || (!options.users_configuration).then(|| directory.path().join("state"));
        if let Some(state) = options.persist_to.clone().or_else(own_state) {
            command.arg("--persist-to").arg(state);
        }
        for (name, value) in &options.vars {
            command.arg("--var").arg(format!("{name}:{value}"));
        }
        command
            .env("CI", "1")
            .env("NO_COLOR", "1")
            .env("FORCE_COLOR", "0")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_WRITE_LOGS", "false")
            // Where running Workers find each other; ours must not.
            .env("WRANGLER_REGISTRY_PATH", directory.path().join("registry"));
        let process = Process::start("the edge (wrangler dev)", command, options.sink)?;
        let address = process.wait_for_line(START_BOUND, ready_address).await?;
        Ok(Self { process: Arc::new(process), address, _directory: directory })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The process, for its log and its end.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Ends wrangler and workerd.
    pub async fn terminate(&self) {
        self.process.terminate(END_BOUND).await;
    }
}

/// The name of the KV namespace's binding.
const CATALOGUE: &str = "CATALOGUE";

/// A `wrangler.toml` beside the checkout's own, with the catalogue's namespace bound.
fn with_catalogue(folder: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(workspace::root().join("wrangler.toml"))?;
    let (main, absolute) = (r#"main = "edge/"#, format!(r#"main = "{}/edge/"#, workspace::root().display()));
    ensure!(text.contains(main), "wrangler.toml does not say {main}");
    // The Worker is built, and its paths are those of the checkout.
    let (head, rest) = text.split_once("[build]").context("wrangler.toml has no [build]")?;
    let (_, rest) = rest.split_once("\n[").context("wrangler.toml has nothing behind [build]")?;
    let namespace = format!("[[kv_namespaces]]\nbinding = \"{CATALOGUE}\"\nid = \"catalogue-of-a-test\"\n");
    let path = folder.join("wrangler.toml");
    std::fs::write(&path, format!("{}[{rest}\n{namespace}", head.replace(main, &absolute)))?;
    Ok(path)
}

/// Puts a catalogue into the namespace of an edge that runs, or is to run, on the state in `state`: with wrangler, as its
/// users do.
pub async fn put_catalogue(state: &Path, json: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("catalogue.json");
    std::fs::write(&file, json)?;
    let mut command = workspace::command(workspace::node());
    command.arg(workspace::wrangler_entry()).args(["kv", "key", "put", "--local", "--binding", CATALOGUE]);
    command.arg("--config").arg(with_catalogue(folder.path())?).arg("--persist-to").arg(state);
    command.arg("catalogue").arg("--path").arg(file);
    command.env("CI", "1").env("WRANGLER_SEND_METRICS", "false").env("WRANGLER_WRITE_LOGS", "false");
    let put = command.output().await?;
    ensure!(put.status.success(), "wrangler kv key put: {}", String::from_utf8_lossy(&put.stderr));
    Ok(())
}

fn ready_address(line: &str) -> Option<SocketAddr> {
    let (_, url) = line.split_once("Ready on http://")?;
    url.trim().trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_wranglers_words() {
        assert_eq!(ready_address("[wrangler:info] Ready on http://127.0.0.1:8787"), "127.0.0.1:8787".parse().ok());
        assert_eq!(ready_address("⎔ Starting local server..."), None);
    }
}
