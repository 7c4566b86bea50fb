//! The backend as its users start it: the binary, configured by environment variables.

use std::{
    env,
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    process::{LineSink, Process},
    workspace,
};

/// From start to listening. Generous: a machine that builds at the same time is slow.
const START_BOUND: Duration = Duration::from_mins(1);

/// Longest that a command may take which only computes.
const OUTPUT_BOUND: Duration = Duration::from_secs(30);

/// How to start a backend. The default listens on free ports and ignores the user's own configuration.
#[derive(Clone, Default)]
pub struct BackendOptions {
    /// Where the service listener is; default a free port of 127.0.0.1.
    pub service: Option<SocketAddr>,
    /// Where the operations listener is; default a free port of 127.0.0.1.
    pub operations: Option<SocketAddr>,
    /// More environment variables.
    pub env: Vec<(String, String)>,
    /// Whether `GOBLIN_*` and `OTEL_*` of our own environment and `goblin.toml` of the checkout apply too.
    pub users_configuration: bool,
    /// What is done with each line of its log beside keeping it.
    pub sink: Option<LineSink>,
}

/// A running backend. Dropping it kills it.
pub struct Backend {
    process: Arc<Process>,
    service: SocketAddr,
    operations: SocketAddr,
    /// Its working directory, when not the checkout.
    _directory: Option<TempDir>,
}

impl Backend {
    /// Starts `goblin-backend` and waits until both listeners listen.
    pub async fn start(options: BackendOptions) -> Result<Self> {
        let (mut command, directory) = if options.users_configuration {
            (users_command()?, None)
        } else {
            let (command, directory) = unconfigured()?;
            (command, Some(directory))
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        command
            .arg("serve")
            .env("GOBLIN_SERVICE__LISTEN", options.service.unwrap_or(any).to_string())
            .env("GOBLIN_OPERATIONS__LISTEN", options.operations.unwrap_or(any).to_string())
            .envs(options.env);
        let process = Process::start("the backend", command, options.sink)?;
        let (mut service, mut operations) = (None, None);
        let (service, operations) = process
            .wait_for_line(START_BOUND, |line| {
                let line = serde_json::from_str(line).ok()?;
                if field(&line, "message")? != "listening" {
                    return None;
                }
                let address = field(&line, "address")?.as_str()?.parse().ok()?;
                match field(&line, "listener")?.as_str()? {
                    "service" => service = Some(address),
                    "operations" => operations = Some(address),
                    _ => {}
                }
                service.zip(operations)
            })
            .await?;
        Ok(Self { process: Arc::new(process), service, operations, _directory: directory })
    }

    /// Address of the service listener.
    #[must_use]
    pub fn service(&self) -> SocketAddr {
        self.service
    }

    /// Address of the operations listener.
    #[must_use]
    pub fn operations(&self) -> SocketAddr {
        self.operations
    }

    /// The process, for its log and its end.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// All lines of its log that are JSON.
    #[must_use]
    pub fn logs(&self) -> Vec<Value> {
        self.process.log().lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the first JSON line, from the start on, that `is_it`.
    pub async fn wait_for_log(&self, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        let bound = Duration::from_secs(30);
        self.process.wait_for_line(bound, |line| serde_json::from_str(line).ok().filter(|line| is_it(line))).await
    }

    /// SIGTERM, and SIGKILL when it has not ended within `bound`.
    pub async fn terminate(&self, bound: Duration) {
        self.process.terminate(bound).await;
    }

    /// SIGKILL: what a crash looks like from outside.
    pub async fn kill(&self) {
        self.process.kill().await;
    }
}

/// Runs a command of the backend that prints one line, without any of the user's configuration but `env`; gives the line.
pub async fn output(arguments: &[&str], env: &[(&str, &str)]) -> Result<String> {
    let (command, _directory) = unconfigured()?;
    one_line(command, arguments, env).await
}

/// Runs a command of the backend, without any of the user's configuration but `env`, to whatever end it comes to.
pub async fn run(arguments: &[&str], env: &[(&str, &str)]) -> Result<Output> {
    let (mut command, _directory) = unconfigured()?;
    command.args(arguments).envs(env.iter().copied()).kill_on_drop(true);
    let name = format!("`goblin-backend {}`", arguments.join(" "));
    let ended = tokio::time::timeout(OUTPUT_BOUND, command.output()).await;
    ended.with_context(|| format!("{name} does not end"))?.with_context(|| format!("{name} could not be started"))
}

/// The same, over a pipe that nobody reads any more.
pub async fn run_unread(arguments: &[&str], env: &[(&str, &str)]) -> Result<Output> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let (mut command, _directory) = unconfigured()?;
    command.args(arguments).envs(env.iter().copied()).stdout(writer).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn()?;
    // It has a copy of the pipe's end.
    drop(command);
    let ended = tokio::time::timeout(OUTPUT_BOUND, child.wait_with_output()).await;
    Ok(ended.context("it does not end")??)
}

/// The same with all of the user's configuration.
pub(crate) async fn users_output(arguments: &[&str], env: &[(&str, &str)]) -> Result<String> {
    one_line(users_command()?, arguments, env).await
}

async fn one_line(mut command: Command, arguments: &[&str], env: &[(&str, &str)]) -> Result<String> {
    command.args(arguments).envs(env.iter().copied()).kill_on_drop(true);
    let name = format!("`goblin-backend {}`", arguments.join(" "));
    let output = tokio::time::timeout(OUTPUT_BOUND, command.output())
        .await
        .with_context(|| format!("{name} does not end"))?
        .with_context(|| format!("{name} could not be started"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.strip_suffix('\n') {
        Some(line) if output.status.success() && !line.contains('\n') => Ok(line.to_owned()),
        // What it printed may be secret.
        _ => bail!(
            "{name} ended with {} and printed {} lines; its log:\n{}",
            output.status,
            said.lines().count(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

/// A field of a JSON log line, wherever its format puts the event's own: beside the time, or under `fields`.
#[must_use]
pub fn field<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line.get(name).or_else(|| line.get("fields")?.get(name))
}

/// The binary with the user's configuration.
fn users_command() -> Result<Command> {
    let mut command = workspace::command(binary()?);
    for (name, _) in env::vars() {
        // Ours, not the backend's: its own have a section in their names.
        if name.starts_with("GOBLIN_TEST_") || name == "GOBLIN_CACHE_DIR" {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// The binary without any of the user's configuration: no `GOBLIN_*`, no `OTEL_*`, and an empty working directory, which
/// goes when dropped.
fn unconfigured() -> Result<(Command, TempDir)> {
    let mut command = workspace::command(binary()?);
    for (name, _) in env::vars() {
        if name.starts_with("GOBLIN_") || name.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    let directory = tempfile::tempdir()?;
    command.current_dir(directory.path());
    Ok((command, directory))
}

fn binary() -> Result<PathBuf> {
    let path = workspace::artifact_dir()?.join("goblin-backend");
    ensure!(
        path.exists(),
        "{} is not built: run `cargo build -p goblin-backend`, or all by `cargo xtask test`",
        path.display()
    );
    path.canonicalize().with_context(|| format!("{} cannot be reached", path.display()))
}
