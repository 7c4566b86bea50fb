//! The edge as its users start it: `wrangler dev` with the wrangler.toml at the top of the checkout.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
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
        command.arg(wrangler).args(["dev", "--config", "wrangler.toml", "--ip", "127.0.0.1", "--port", &port]);
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
