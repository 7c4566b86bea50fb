//! The Workers that are compared, in one workerd.

use std::{collections::BTreeMap, fmt::Write as _, fs, net::TcpListener};

use anyhow::{Context as _, Result};
use goblin_tests::{patience::PATIENCE, process::Process, readiness, workspace};
use tempfile::TempDir;

use crate::canned::Origin;

/// Makes API keys genuine, and signs.
pub(super) const ISSUER: &str = "00000000000000000000000000000000";

/// No limit is on: outside Cloudflare the rate limit binding is a simulation.
const NO_LIMITS: &str = "address_limit=off,key_limit=off";
const NO_CHECKS: &str = "address_limit=off,key_limit=off,honeypot=off,ai_crawler=off,search_crawler=off,crawler=off,scripted_tool=off,headless_browser=off,empty_user_agent=off,impossible_headers=off,tls_version=off,bot_score=off,address_list=off,asn_list=off,country_list=off,path_list=off,ja4_list=off";
const KEY_LIMIT: &str = "address_limit=off";

/// A Worker: its name, what it is told by `ADMIT_RULES` (the first is no edge at all), and whether it tells the collector.
const WORKERS: [(&str, &str, bool); 5] = [
    ("pass", "", false),
    ("unchecked", NO_CHECKS, false),
    ("checked", NO_LIMITS, false),
    ("told", NO_LIMITS, true),
    ("limited", KEY_LIMIT, false),
];

const PASS_THROUGH: &str = r"export default {
  fetch(request, env) {
    const url = new URL(request.url);
    return fetch(new Request(env.BACKEND_ORIGIN + url.pathname + url.search, request));
  },
};
";

/// All of them, running.
pub(super) struct Workers {
    process: Process,
    ports: BTreeMap<&'static str, u16>,
    _folder: TempDir,
}

impl Workers {
    /// Starts them and waits until each answers.
    pub(super) async fn start(origin: &Origin) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for file in ["index.js", "index_bg.wasm"] {
            let built = workspace::root().join("edge/build").join(file);
            fs::copy(&built, folder.path().join(file)).with_context(|| format!("{} is not built", built.display()))?;
        }
        fs::write(folder.path().join("pass.js"), PASS_THROUGH)?;
        fs::create_dir(folder.path().join("objects"))?;
        let ports: BTreeMap<_, u16> =
            WORKERS.iter().map(|(name, ..)| Ok((*name, free_port()?))).collect::<Result<_>>()?;
        fs::write(folder.path().join("config.capnp"), config(origin, &ports))?;
        let mut command = workspace::command(workspace::node_bin_dir().join("workerd"));
        command.arg("serve").arg("config.capnp").arg("--experimental").current_dir(folder.path());
        let process = Process::start("workerd", command, None)?;
        for port in ports.values() {
            readiness::wait_until_ready(([127, 0, 0, 1], *port).into(), "/healthz", PATIENCE).await?;
        }
        Ok(Self { process, ports, _folder: folder })
    }

    /// Where one of them listens.
    pub(super) fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// Id of workerd and of its process group.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) async fn kill(self) {
        self.process.kill().await;
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// With the same date and flags as wrangler.toml.
fn config(origin: &Origin, ports: &BTreeMap<&str, u16>) -> String {
    let wrangler = include_str!("../../../wrangler.toml");
    let date = wrangler.lines().find_map(|line| line.strip_prefix("compatibility_date = ")).unwrap_or_default();
    let backend = format!(r#"(name = "BACKEND_ORIGIN", text = "http://{}")"#, origin.address);
    let collector = format!(r#"    (name = "OTEL_EXPORTER_OTLP_ENDPOINT", text = "http://{}"),"#, origin.address);
    let (mut sockets, mut services, mut workers) = (String::new(), String::new(), String::new());
    for (name, rules, is_telling) in WORKERS {
        let port = ports[name];
        let _ =
            writeln!(sockets, r#"    (name = "{name}", address = "127.0.0.1:{port}", http = (), service = "{name}"),"#);
        let _ = writeln!(services, r#"    (name = "{name}", worker = .{name}),"#);
        let collector = if is_telling { &collector } else { "" };
        let _ = if rules.is_empty() {
            writeln!(
                workers,
                r#"const {name} :Workerd.Worker = (
  modules = [(name = "pass.js", esModule = embed "pass.js")],
  compatibilityDate = {date},
  bindings = [{backend}],
);"#
            )
        } else {
            writeln!(
                workers,
                r#"const {name} :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js"), (name = "index_bg.wasm", wasm = embed "index_bg.wasm")],
  compatibilityDate = {date},
  compatibilityFlags = ["enable_request_signal", "request_signal_passthrough"],
  bindings = [
    {backend},
    (name = "EDGE_SIGNING_KEY", text = "bench:{ISSUER}"),
    (name = "API_KEY_ISSUER_SECRETS", text = "{ISSUER}"),
    (name = "ADMIT_RULES", text = "{rules}"),
    (name = "KEY_LIMIT_BURST", text = "1000000"),
    (name = "KEY_LIMIT_SUSTAINED", text = "1000000/1"),
    (name = "KEY_LIMIT_FAILURE", text = "closed"),
    (name = "KEY_LIMIT_TIMEOUT_MS", text = "10000"),
    (name = "KEY_LIMITS", durableObjectNamespace = "KeyLimit"),
{collector}
  ],
  durableObjectNamespaces = [(className = "KeyLimit", uniqueKey = "{name}", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
);"#
            )
        };
    }
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "internet", network = (allow = ["private", "public"])),
    (name = "objects", disk = (path = "objects", writable = true)),
{services}  ],
  sockets = [
{sockets}  ],
);
{workers}"#
    )
}
