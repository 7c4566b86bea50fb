//! `cargo xtask stack`: the observability stack of `infra/` on this machine, natively.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use goblin_tests::{
    observability::{Observability, ObservabilityOptions, Part, Ports},
    readiness::wait_until_ready,
    server::NotStarted,
    workspace,
};
use serde_json::{Value, json};

use crate::{
    interrupt::Interrupt,
    native, ports,
    progress::{self, say},
};

/// What to do with it.
#[derive(Clone, Copy, Subcommand)]
pub(crate) enum StackCommand {
    /// Build its servers from their modules, once per machine; needs Go, and a quarter of an hour.
    Build,
    /// Start it in the background and say where it is. What it keeps goes with it.
    Up,
    /// End it.
    Down,
    /// Say how each of its servers is.
    Status,
    /// Run it until it is told to end.
    #[command(hide = true)]
    Run,
}

/// Who works on it wants to see every trace, and soon.
const FOR_PEOPLE: [(&str, &str); 4] = [
    ("COLLECTOR_TRACE_PERCENTAGE", "100"),
    ("COLLECTOR_DECISION_WAIT", "5s"),
    ("COLLECTOR_SPANMETRICS_INTERVAL", "5s"),
    ("COLLECTOR_LOG_LEVEL", "warn"),
];

/// How long all of it may take to start.
const UP_BOUND: Duration = Duration::from_mins(3);

/// How long it may take to end: what is in memory is written down.
const DOWN_BOUND: Duration = Duration::from_mins(1);

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(command: StackCommand) -> Result<ExitCode> {
    match command {
        StackCommand::Build => native::ensure().await?,
        StackCommand::Up => up().await?,
        StackCommand::Down => down().await?,
        StackCommand::Status => return status().await,
        StackCommand::Run => foreground().await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts it on its usual ports, or the next free ones. `probed` are the URLs that are looked at from outside.
pub(crate) async fn start(probed: Vec<(&'static str, String)>) -> Result<Observability> {
    native::ensure().await?;
    let mut taken = Vec::new();
    let ports = Ports::by(|usual| {
        let port = ports::free_from(usual, "the observability stack", &taken)?;
        taken.push(port);
        Ok(port)
    })?;
    let options = ObservabilityOptions {
        ports: Some(ports),
        probed,
        environment: FOR_PEOPLE.map(|(name, value)| (name, value.to_owned())).to_vec(),
        interval: Some("5s"),
        ..ObservabilityOptions::default()
    };
    match Observability::start(options).await {
        Ok(observability) => Ok(observability),
        Err(NotStarted::Missing(hint)) => bail!("{hint}"),
        Err(NotStarted::Failed(error)) => Err(error),
    }
}

/// Where edge and backend are when `cargo xtask dev` runs them. The edge's `/readyz` is the backend's.
pub(crate) fn probed(edge_port: u16, operations_port: u16) -> Vec<(&'static str, String)> {
    let at = |port, path: &str| format!("http://127.0.0.1:{port}{path}");
    vec![("edge", at(edge_port, "/healthz")), ("backend", at(operations_port, "/readyz"))]
}

/// One line for each address that people use.
pub(crate) fn introduce(ports: &Ports) {
    println!("Jaeger, traces                    {}", Observability::url(ports.jaeger_query, "/api/services"));
    println!("Loki, lines of the log            {}", Observability::url(ports.loki, "/loki/api/v1/labels"));
    println!("Prometheus, metrics and rules     {}", Observability::url(ports.prometheus, "/api/v1/rules"));
    println!("Alertmanager                      {}", Observability::url(ports.alertmanager, ""));
    println!("The Collector, OTLP by gRPC       {}", Observability::url(ports.otlp_grpc, ""));
    println!("The Collector, OTLP by HTTP       {}", Observability::url(ports.otlp_http, ""));
}

fn state_file() -> Result<PathBuf> {
    Ok(workspace::artifact_dir()?.join("stack.json"))
}

/// Who runs it and where it listens; `None`: nobody does.
fn running() -> Result<Option<(u32, Ports)>> {
    let path = state_file()?;
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let state: Value = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let process = state["process"].as_u64().and_then(|process| u32::try_from(process).ok());
    let ports = state["ports"].as_array().cloned().unwrap_or_default();
    let mut ports = ports.iter().filter_map(|port| u16::try_from(port.as_u64()?).ok());
    let ports =
        Ports::by(|_| ports.next().context("a port is missing")).context("the state of the stack is damaged")?;
    // A number may belong to somebody else by now.
    Ok(process.filter(|process| is_ours(*process)).map(|process| (process, ports)))
}

fn is_ours(process: u32) -> bool {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| pair[0] == b"stack" && pair[1] == b"run")
}

async fn up() -> Result<()> {
    if let Some((_, ports)) = running()? {
        say("the stack runs already");
        introduce(&ports);
        return Ok(());
    }
    native::ensure().await?;
    let log = workspace::artifact_dir()?.join("stack.log");
    let output = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    let mut child = Command::new(program);
    child.args(["stack", "run"]).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // A Ctrl-C at this terminal is not meant for it.
    let mut child = child.process_group(0).spawn().context("the stack cannot be started")?;
    let begun = Instant::now();
    let started = async {
        loop {
            if let Some((_, ports)) = running()? {
                return Ok(ports);
            }
            if let Some(status) = child.try_wait()? {
                bail!("the stack ended ({status}):\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            ensure!(begun.elapsed() < UP_BOUND, "the stack is not ready; its log is {}", log.display());
            tokio::time::sleep(PAUSE).await;
        }
    };
    let ports = progress::with_progress("starting the observability stack", begun, started).await?;
    introduce(&ports);
    println!();
    println!("`cargo xtask stack down` ends it. Edge and backend send to it with");
    println!("OTEL_EXPORTER_OTLP_ENDPOINT={} (the edge speaks HTTP alone)", Observability::url(ports.otlp_http, ""));
    Ok(())
}

async fn down() -> Result<()> {
    let Some((process, _)) = running()? else {
        say("the stack does not run");
        return Ok(());
    };
    let ended = Command::new("kill").arg(process.to_string()).status().context("kill cannot be run")?;
    ensure!(ended.success(), "process {process} cannot be ended");
    let begun = Instant::now();
    while is_ours(process) {
        ensure!(begun.elapsed() < DOWN_BOUND, "process {process} does not end");
        tokio::time::sleep(PAUSE).await;
    }
    say("✓ the stack has ended");
    Ok(())
}

async fn status() -> Result<ExitCode> {
    let Some((_, ports)) = running()? else {
        println!("the stack does not run; `cargo xtask stack up` starts it");
        return Ok(ExitCode::FAILURE);
    };
    let mut all_well = true;
    for part in Part::ALL {
        let (port, path) = ports.readiness(part);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match wait_until_ready(address, path, Duration::from_secs(1)).await {
            Ok(()) => println!("✓ {:<18} {}", part.name(), Observability::url(port, path)),
            Err(error) => {
                all_well = false;
                println!("✗ {:<18} {error:#}", part.name());
            }
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn foreground() -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    let observability = tokio::select! {
        started = start(probed(8787, 9464)) => started?,
        () = interrupt.next() => return Ok(()),
    };
    let path = state_file()?;
    let state = json!({"process": std::process::id(), "ports": observability.ports.all()});
    // As a whole or not at all.
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, state.to_string())?;
    fs::rename(&unfinished, &path)?;
    interrupt.next().await;
    let _ = fs::remove_file(&path);
    Ok(())
}
