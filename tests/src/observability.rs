//! The observability stack of `infra/`, run natively: the real servers, on loopback ports of their own, with the
//! configuration that is deployed.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{
    native::{ALERTMANAGER, BLACKBOX_HINT, COLLECTOR, HINT, JAEGER, LOKI, Module, PROMETHEUS, blackbox},
    readiness::wait_until_ready,
    server::{Launch, NotStarted, Tethered, free_port},
    workspace,
};

/// How long all of them may take to be ready on a busy machine.
const READY_BOUND: Duration = Duration::from_mins(2);

/// How long one may take to end: Loki writes down what it has.
const END_BOUND: Duration = Duration::from_mins(1);

/// Windows of rules, and what stands for them where nobody can wait for days. Their order by length is kept.
const QUICK_WINDOWS: [(&str, &str); 10] = [
    ("1m", "2s"),
    ("2m", "3s"),
    ("5m", "10s"),
    ("10m", "12s"),
    ("30m", "15s"),
    ("1h", "20s"),
    ("2h", "25s"),
    ("6h", "30s"),
    ("1d", "40s"),
    ("3d", "60s"),
];

/// Where it runs, as the Collector has it of those that do not say.
const ENVIRONMENT: &str = "development";

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Takes OTLP and hands it on.
    Collector,
    /// Keeps traces.
    Jaeger,
    /// Keeps lines of the log.
    Loki,
    /// Keeps metrics, and judges rules.
    Prometheus,
    /// Tells whoever is to know.
    Alertmanager,
    /// Asks edge and backend from outside.
    Blackbox,
}

impl Part {
    /// All, those first that others need.
    pub const ALL: [Self; 6] =
        [Self::Jaeger, Self::Loki, Self::Alertmanager, Self::Blackbox, Self::Prometheus, Self::Collector];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collector => "Collector",
            Self::Jaeger => "Jaeger",
            Self::Loki => "Loki",
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Blackbox => "blackbox exporter",
        }
    }

    fn program(self) -> Result<PathBuf, NotStarted> {
        let of = |module: Module, name| module.program(name).ok_or(NotStarted::Missing(HINT));
        match self {
            Self::Collector => of(COLLECTOR, "otelcol"),
            Self::Jaeger => of(JAEGER, "jaeger"),
            Self::Loki => of(LOKI, "loki"),
            Self::Prometheus => of(PROMETHEUS, "prometheus"),
            Self::Alertmanager => of(ALERTMANAGER, "alertmanager"),
            Self::Blackbox => blackbox().ok_or(NotStarted::Missing(BLACKBOX_HINT)),
        }
    }
}

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The Collector: OTLP by gRPC.
    pub otlp_grpc: u16,
    /// The Collector: OTLP by HTTP.
    pub otlp_http: u16,
    /// The Collector: whether it is well.
    pub collector_health: u16,
    /// The Collector: its own metrics.
    pub collector_metrics: u16,
    /// The Collector: metrics of edge and backend.
    pub collector_prometheus: u16,
    /// Jaeger: OTLP by gRPC.
    pub jaeger_grpc: u16,
    /// Jaeger: OTLP by HTTP.
    pub jaeger_http: u16,
    /// Jaeger: questions by HTTP.
    pub jaeger_query: u16,
    /// Jaeger: questions by gRPC.
    pub jaeger_query_grpc: u16,
    /// Jaeger: whether it is well.
    pub jaeger_health: u16,
    /// Jaeger: its own metrics.
    pub jaeger_metrics: u16,
    /// Loki: lines in, questions, its own metrics.
    pub loki: u16,
    /// Loki: between its parts.
    pub loki_grpc: u16,
    /// Prometheus.
    pub prometheus: u16,
    /// Alertmanager.
    pub alertmanager: u16,
    /// The blackbox exporter.
    pub blackbox: u16,
}

impl Ports {
    /// Free ones.
    pub fn free() -> Result<Self> {
        let mut taken = Vec::new();
        Self::by(|_| {
            loop {
                let port = free_port()?;
                if !taken.contains(&port) {
                    taken.push(port);
                    return Ok(port);
                }
            }
        })
    }

    /// By a choice for each, which is told the usual one.
    pub fn by(mut choose: impl FnMut(u16) -> Result<u16>) -> Result<Self> {
        Ok(Self {
            otlp_grpc: choose(4317)?,
            otlp_http: choose(4318)?,
            collector_health: choose(13_133)?,
            collector_metrics: choose(8888)?,
            collector_prometheus: choose(8889)?,
            jaeger_grpc: choose(14_317)?,
            jaeger_http: choose(14_318)?,
            jaeger_query: choose(16_686)?,
            jaeger_query_grpc: choose(16_685)?,
            jaeger_health: choose(13_134)?,
            jaeger_metrics: choose(18_888)?,
            loki: choose(3100)?,
            loki_grpc: choose(9096)?,
            prometheus: choose(9090)?,
            alertmanager: choose(9093)?,
            blackbox: choose(9115)?,
        })
    }

    /// All of them, in the order in which [`Self::by`] asks.
    #[must_use]
    pub const fn all(&self) -> [u16; 16] {
        [
            self.otlp_grpc,
            self.otlp_http,
            self.collector_health,
            self.collector_metrics,
            self.collector_prometheus,
            self.jaeger_grpc,
            self.jaeger_http,
            self.jaeger_query,
            self.jaeger_query_grpc,
            self.jaeger_health,
            self.jaeger_metrics,
            self.loki,
            self.loki_grpc,
            self.prometheus,
            self.alertmanager,
            self.blackbox,
        ]
    }

    /// Where a part says that it is ready.
    #[must_use]
    pub const fn readiness(&self, part: Part) -> (u16, &'static str) {
        match part {
            Part::Collector => (self.collector_health, "/"),
            Part::Jaeger => (self.jaeger_health, "/status"),
            Part::Loki => (self.loki, "/ready"),
            Part::Prometheus => (self.prometheus, "/-/ready"),
            Part::Alertmanager => (self.alertmanager, "/-/ready"),
            Part::Blackbox => (self.blackbox, "/-/healthy"),
        }
    }

    fn arguments(&self, part: Part, folder: &Path) -> Vec<String> {
        let file = |name: &str| folder.join(name).display().to_string();
        let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
        match part {
            Part::Collector => vec!["--config".to_owned(), file("otel-collector-config.yaml")],
            Part::Jaeger => vec!["--config".to_owned(), file("jaeger.yaml")],
            Part::Loki => vec![format!("-config.file={}", file("loki.yaml")), "-config.expand-env=true".to_owned()],
            Part::Prometheus => vec![
                format!("--config.file={}", file("prometheus.yml")),
                format!("--storage.tsdb.path={}", file("data/prometheus")),
                "--storage.tsdb.retention.time=40d".to_owned(),
                "--enable-feature=exemplar-storage".to_owned(),
                "--web.enable-otlp-receiver".to_owned(),
                "--web.enable-remote-write-receiver".to_owned(),
                "--web.enable-lifecycle".to_owned(),
                listen(self.prometheus),
            ],
            Part::Alertmanager => vec![
                format!("--config.file={}", file("alertmanager.yml")),
                format!("--storage.path={}", file("data/alertmanager")),
                // It is alone.
                "--cluster.listen-address=".to_owned(),
                listen(self.alertmanager),
            ],
            Part::Blackbox => vec![format!("--config.file={}", file("blackbox.yml")), listen(self.blackbox)],
        }
    }

    fn environment(&self, part: Part, folder: &Path) -> Vec<(String, String)> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let storage = folder.join("data").join(part.name()).display().to_string();
        let variables = match part {
            Part::Collector => vec![
                ("COLLECTOR_GRPC", at(self.otlp_grpc)),
                ("COLLECTOR_HTTP", at(self.otlp_http)),
                ("COLLECTOR_HEALTH", at(self.collector_health)),
                ("COLLECTOR_METRICS_PORT", self.collector_metrics.to_string()),
                ("COLLECTOR_PROMETHEUS", at(self.collector_prometheus)),
                ("COLLECTOR_STORAGE", storage),
                ("JAEGER_GRPC", at(self.jaeger_grpc)),
                ("LOKI_OTLP", format!("http://{}/otlp", at(self.loki))),
            ],
            Part::Jaeger => vec![
                ("JAEGER_GRPC", at(self.jaeger_grpc)),
                ("JAEGER_HTTP", at(self.jaeger_http)),
                ("JAEGER_QUERY", at(self.jaeger_query)),
                ("JAEGER_QUERY_GRPC", at(self.jaeger_query_grpc)),
                ("JAEGER_HEALTH", at(self.jaeger_health)),
                ("JAEGER_METRICS_PORT", self.jaeger_metrics.to_string()),
                ("JAEGER_STORAGE", storage),
            ],
            Part::Loki => vec![
                ("LOKI_PORT", self.loki.to_string()),
                ("LOKI_GRPC_PORT", self.loki_grpc.to_string()),
                ("LOKI_STORAGE", storage),
            ],
            Part::Prometheus | Part::Alertmanager | Part::Blackbox => Vec::new(),
        };
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct ObservabilityOptions {
    /// More variables for the servers, such as shorter waits.
    pub environment: Vec<(&'static str, String)>,
    /// Overlays of the Collector, below `infra/`.
    pub overlays: Vec<&'static str>,
    /// Pause between two looks at metrics and at rules; the configured one without.
    pub interval: Option<&'static str>,
    /// Where to listen; without, on free ports.
    pub ports: Option<Ports>,
    /// Rules look at seconds where they look at minutes, hours and days.
    pub quick_rules: bool,
    /// URLs that are probed: the edge's and the backend's, as `(service, URL)`.
    pub probed: Vec<(&'static str, String)>,
}

/// The running stack. Dropping it ends all of it.
pub struct Observability {
    /// Where it listens.
    pub ports: Ports,
    options: ObservabilityOptions,
    running: Mutex<Vec<(Part, Tethered)>>,
    folder: TempDir,
}

impl Observability {
    /// Starts all, and waits until each is ready.
    pub async fn start(options: ObservabilityOptions) -> Result<Self, NotStarted> {
        for part in Part::ALL {
            part.program()?;
        }
        let folder = tempfile::Builder::new().prefix("goblin-stack-").tempdir().context("no temporary folder")?;
        let ports = match options.ports {
            Some(ports) => ports,
            None => Ports::free()?,
        };
        lay_out(folder.path(), &ports, &options)?;
        let stack = Self { ports, options, running: Mutex::default(), folder };
        for part in Part::ALL {
            stack.start_part(part).await?;
        }
        Ok(stack)
    }

    /// Starts one that was stopped, on the same ports and with what it kept.
    pub async fn start_part(&self, part: Part) -> Result<()> {
        let program = part.program().map_err(|_| anyhow::anyhow!("{HINT}"))?;
        let home = self.folder.path().join("data").join(part.name());
        fs::create_dir_all(&home)?;
        let mut environment = self.ports.environment(part, self.folder.path());
        environment.extend(self.options.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut arguments = self.ports.arguments(part, self.folder.path());
        for overlay in self.options.overlays.iter().filter(|_| part == Part::Collector) {
            arguments.extend(["--config".to_owned(), self.folder.path().join(overlay).display().to_string()]);
        }
        let server = Tethered::start(Launch {
            name: part.name(),
            program: &program,
            arguments,
            environment,
            identity: None,
            last_signal: Signal::SIGKILL,
            folder: &home,
        })?;
        let (number, path) = self.ports.readiness(part);
        let ready = wait_until_ready(SocketAddr::from((Ipv4Addr::LOCALHOST, number)), path, READY_BOUND).await;
        let log = server.log_tail();
        self.running.lock().await.push((part, server));
        ready.with_context(|| format!("{} is not ready:\n{log}", part.name()))
    }

    /// Ends one: in good order, or with `SIGKILL` at once.
    pub async fn stop_part(&self, part: Part, signal: Signal) -> Result<()> {
        let mut running = self.running.lock().await;
        let Some(index) = running.iter().position(|(other, _)| *other == part) else {
            bail!("{} does not run", part.name())
        };
        let (_, mut server) = running.swap_remove(index);
        server.end(signal, END_BOUND).await
    }

    /// Has Alertmanager tell this URL of incidents, with this key.
    pub fn tell_incidents(&self, url: &str, key: &str) -> Result<()> {
        write_incidents(self.folder.path(), url, key)
    }

    /// Has these URLs looked at from outside, as `(service, URL)`, instead of those before.
    pub fn probe(&self, probed: &[(&'static str, String)]) -> Result<()> {
        write_probes(self.folder.path(), &self.ports, probed)
    }

    /// The end of what one printed.
    pub async fn log_tail(&self, part: Part) -> String {
        let running = self.running.lock().await;
        running.iter().find(|(other, _)| *other == part).map_or_else(String::new, |(_, server)| server.log_tail())
    }

    /// A URL of a port.
    #[must_use]
    pub fn url(port: u16, path: &str) -> String {
        format!("http://127.0.0.1:{port}{path}")
    }
}

/// The configuration as it is deployed, with the targets of this machine.
fn lay_out(folder: &Path, ports: &Ports, options: &ObservabilityOptions) -> Result<()> {
    copy(&workspace::root().join("infra"), folder)?;
    let targets = folder.join("targets");
    fs::create_dir_all(&targets)?;
    let of = |name: &str, port: u16| -> Result<()> {
        // What comes by the Collector says itself where it is from.
        let labels = if name == "goblin" { json!({}) } else { json!({"environment": ENVIRONMENT}) };
        let targets_of = json!([{"targets": [format!("127.0.0.1:{port}")], "labels": labels}]);
        Ok(fs::write(targets.join(format!("{name}.json")), targets_of.to_string())?)
    };
    of("goblin", ports.collector_prometheus)?;
    of("collector", ports.collector_metrics)?;
    of("prometheus", ports.prometheus)?;
    of("alertmanager", ports.alertmanager)?;
    of("jaeger", ports.jaeger_metrics)?;
    of("loki", ports.loki)?;
    write_probes(folder, ports, &options.probed)?;
    let path = folder.join("alertmanager.yml");
    let secrets = folder.join("secrets").display().to_string();
    fs::write(&path, fs::read_to_string(&path)?.replace("/etc/alertmanager/secrets", &secrets))?;
    // Nobody takes them until somebody is named.
    write_incidents(folder, "http://127.0.0.1:9/", "none")?;
    if options.quick_rules {
        for rules in ["recording_rules.yml", "alert_rules.yml"] {
            let path = folder.join(rules);
            let text = fs::read_to_string(&path)?;
            let quick = QUICK_WINDOWS.iter().fold(text, |text, (window, seconds)| {
                let text = text.replace(&format!("[{window}]"), &format!("[{seconds}]"));
                text.replace(&format!("for: {window}\n"), &format!("for: {seconds}\n"))
            });
            fs::write(path, quick)?;
        }
        let path = folder.join("alertmanager.yml");
        let waits = [("group_wait: 30s", "group_wait: 1s"), ("group_wait: 10s", "group_wait: 1s")];
        let intervals = [("group_interval: 5m", "group_interval: 2s"), ("group_interval: 1m", "group_interval: 2s")];
        let text = fs::read_to_string(&path)?;
        let quick = waits.iter().chain(&intervals).fold(text, |text, (slow, quick)| text.replace(slow, quick));
        fs::write(path, quick)?;
    }
    if let Some(interval) = options.interval {
        let path = folder.join("prometheus.yml");
        let text = fs::read_to_string(&path)?;
        let text = text.replace("_interval: 15s", &format!("_interval: {interval}"));
        fs::write(path, text.replace("scrape_timeout: 10s", &format!("scrape_timeout: {interval}")))?;
    }
    Ok(())
}

fn write_incidents(folder: &Path, url: &str, key: &str) -> Result<()> {
    let secrets = folder.join("secrets");
    fs::create_dir_all(&secrets)?;
    fs::write(secrets.join("incidents_url"), url)?;
    Ok(fs::write(secrets.join("incidents_key"), key)?)
}

fn write_probes(folder: &Path, ports: &Ports, probed: &[(&'static str, String)]) -> Result<()> {
    let probe = |(service, url): &(&'static str, String)| {
        let labels = json!({"__param_target": url, "service": service, "environment": ENVIRONMENT});
        json!({"targets": [format!("127.0.0.1:{}", ports.blackbox)], "labels": labels})
    };
    let all: Vec<_> = probed.iter().map(probe).collect();
    // Whoever reads it meanwhile finds the old or the new.
    let unfinished = folder.join("targets/probes.unfinished");
    fs::write(&unfinished, serde_json::to_string(&all)?)?;
    Ok(fs::rename(unfinished, folder.join("targets/probes.json"))?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "native" {
                fs::create_dir_all(&target)?;
                copy(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
