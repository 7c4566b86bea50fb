//! The edge in `workerd serve`, against a bare JavaScript pass-through with the same origin. Never through
//! `wrangler dev`, whose own proxies cost more than what is measured.

use std::{fmt::Write as _, fs, io::Write as _, net::TcpListener, time::Duration};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use goblin_tests::{api_key::mint_api_key, patience::PATIENCE, process::Process, readiness, workspace};

use crate::{
    canned::Origin,
    machine::processor_seconds,
    rounds::Rounds,
    wrk::{self, Load, Run},
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(4);
const CONNECTIONS: u32 = 16;
const ISSUER: &str = "00000000000000000000000000000000";

/// No limit is on: outside Cloudflare the rate limit binding is a simulation.
const NO_LIMITS: &str = "address_limit=off,key_limit=off";
const NO_CHECKS: &str = "address_limit=off,key_limit=off,honeypot=off,ai_crawler=off,search_crawler=off,crawler=off,scripted_tool=off,headless_browser=off,empty_user_agent=off,impossible_headers=off,tls_version=off,bot_score=off,address_list=off,asn_list=off,country_list=off,path_list=off,ja4_list=off";
const KEY_LIMIT: &str = "address_limit=off";

/// The Workers that are compared, and what each is told by `ADMIT_RULES`; the first is no edge at all.
const WORKERS: [(&str, &str); 4] =
    [("pass", ""), ("unchecked", NO_CHECKS), ("checked", NO_LIMITS), ("limited", KEY_LIMIT)];

const PASS_THROUGH: &str = r"export default {
  fetch(request, env) {
    const url = new URL(request.url);
    return fetch(new Request(env.BACKEND_ORIGIN + url.pathname + url.search, request));
  },
};
";

/// Rates, processor time and size.
pub(crate) async fn measure(origin: &Origin) -> Result<String> {
    let folder = tempfile::tempdir()?;
    for file in ["index.js", "index_bg.wasm"] {
        let built = workspace::root().join("edge/build").join(file);
        fs::copy(&built, folder.path().join(file)).with_context(|| format!("{} is not built", built.display()))?;
    }
    fs::write(folder.path().join("pass.js"), PASS_THROUGH)?;
    fs::create_dir(folder.path().join("objects"))?;
    let ports: Vec<u16> = WORKERS.iter().map(|_| free_port()).collect::<Result<_>>()?;
    fs::write(folder.path().join("config.capnp"), config(origin, &ports))?;
    let mut command = workspace::command(workspace::node_bin_dir().join("workerd"));
    command.arg("serve").arg("config.capnp").arg("--experimental").current_dir(folder.path());
    let workerd = Process::start("workerd", command, None)?;
    for port in &ports {
        readiness::wait_until_ready(([127, 0, 0, 1], *port).into(), "/healthz", PATIENCE).await?;
    }
    let key = mint_api_key(ISSUER).await?;
    let [pass, unchecked, checked, limited] = [0, 1, 2, 3].map(|index| ports[index]);

    let mut tables = String::new();
    for load in [Load::Chat, Load::Models] {
        let targets = [("JavaScript pass-through", pass), ("edge, without any check", unchecked), ("edge", checked)];
        tables.push_str(&compare(&workerd, &targets, load, None).await?);
    }
    let targets = [("edge, no limit", checked), ("edge, exact limit of the key", limited)];
    tables.push_str(&compare(&workerd, &targets, Load::Chat, Some(&key)).await?);
    workerd.kill().await;

    let wasm = fs::read(folder.path().join("index_bg.wasm"))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    let gzipped = gzip.finish()?.len();
    Ok(format!(
        "## Edge\n\n`workerd serve`, {CONNECTIONS} connections, {ROUNDS} interleaved rounds of {} s, chat requests of {} bytes, no \
         telemetry endpoint.\n\n{tables}WebAssembly: {} bytes, {gzipped} bytes gzipped.\n",
        ROUND.as_secs(),
        crate::canned::REQUEST.len(),
        wasm.len(),
    ))
}

/// Several targets under the same load, in turns; each is compared with those before it.
async fn compare(workerd: &Process, targets: &[(&str, u16)], load: Load, key: Option<&str>) -> Result<String> {
    let each = || -> Vec<Rounds> { targets.iter().map(|_| Rounds::default()).collect() };
    let (mut rates, mut processor) = (each(), each());
    let mut ratios: Vec<Vec<Rounds>> = targets.iter().map(|_| each()).collect();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (index, (_, port)) in targets.iter().enumerate() {
            let before = processor_seconds(workerd.id());
            let address = ([127, 0, 0, 1], *port).into();
            let Run { per_second, requests, .. } = wrk::run(address, load, key, CONNECTIONS, ROUND).await?;
            rates[index].push(per_second);
            processor[index].push((processor_seconds(workerd.id()) - before) / requests * 1e6);
            for (before, rate) in round.iter().enumerate() {
                ratios[index][before].push(per_second / rate);
            }
            round.push(per_second);
        }
    }
    let by_whom = if key.is_some() { "with a key" } else { "as a browser" };
    let mut table = format!(
        "| {}, {by_whom} | requests/s | processor time of workerd per request, µs | ratio of each round |\n|---|---|---|---|\n",
        load.name()
    );
    for (index, (name, _)) in targets.iter().enumerate() {
        let ratios: Vec<String> =
            (0..index).map(|before| format!("{} of {}", ratios[index][before].show(2), targets[before].0)).collect();
        let (rate, processor) = (rates[index].show(0), processor[index].show(0));
        writeln!(table, "| {name} | {rate} | {processor} | {} |", ratios.join("; "))?;
    }
    table.push('\n');
    Ok(table)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// With the same date and flags as wrangler.toml.
fn config(origin: &Origin, ports: &[u16]) -> String {
    let wrangler = include_str!("../../wrangler.toml");
    let date = wrangler.lines().find_map(|line| line.strip_prefix("compatibility_date = ")).unwrap_or_default();
    let backend = format!(r#"(name = "BACKEND_ORIGIN", text = "http://{}")"#, origin.address);
    let (mut sockets, mut services, mut workers) = (String::new(), String::new(), String::new());
    for ((name, rules), port) in WORKERS.iter().zip(ports) {
        let _ =
            writeln!(sockets, r#"    (name = "{name}", address = "127.0.0.1:{port}", http = (), service = "{name}"),"#);
        let _ = writeln!(services, r#"    (name = "{name}", worker = .{name}),"#);
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
