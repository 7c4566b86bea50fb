//! The edge in `workerd serve`, against a bare JavaScript pass-through with the same origin. Never through
//! `wrangler dev`, whose own proxies cost more than what is measured.

use std::{fs, io::Write as _, net::TcpListener, time::Duration};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use goblin_tests::{patience::PATIENCE, process::Process, readiness, workspace};

use crate::{
    canned::Origin,
    machine::processor_seconds,
    rounds::Rounds,
    wrk::{self, Load, Run},
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(4);
const CONNECTIONS: u32 = 16;

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
    let ports = [free_port()?, free_port()?];
    fs::write(folder.path().join("config.capnp"), config(origin, ports))?;
    let mut command = workspace::command(workspace::node_bin_dir().join("workerd"));
    command.arg("serve").arg("config.capnp").current_dir(folder.path());
    let workerd = Process::start("workerd", command, None)?;
    for port in ports {
        readiness::wait_until_ready(([127, 0, 0, 1], port).into(), "/healthz", PATIENCE).await?;
    }

    let mut tables = String::new();
    for load in [Load::Chat, Load::Models] {
        tables.push_str(&compare(&workerd, ports, load).await?);
    }
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

/// Both workers under the same load, in turns.
async fn compare(workerd: &Process, ports: [u16; 2], load: Load) -> Result<String> {
    let mut rates = [Rounds::default(), Rounds::default()];
    let mut processor = [Rounds::default(), Rounds::default()];
    let mut ratios = Rounds::default();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (index, port) in ports.into_iter().enumerate() {
            let before = processor_seconds(workerd.id());
            let address = ([127, 0, 0, 1], port).into();
            let Run { per_second, requests, .. } = wrk::run(address, load, CONNECTIONS, ROUND).await?;
            rates[index].push(per_second);
            processor[index].push((processor_seconds(workerd.id()) - before) / requests * 1e6);
            round.push(per_second);
        }
        ratios.push(round[1] / round[0]);
    }
    Ok(format!(
        "| {} | requests/s | processor time of workerd per request, µs |\n|---|---|---|\n\
         | JavaScript pass-through | {} | {} |\n| edge | {} | {} |\n| ratio of each round | {} | |\n\n",
        load.name(),
        rates[0].show(0),
        processor[0].show(0),
        rates[1].show(0),
        processor[1].show(0),
        ratios.show(2),
    ))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// With the same date and flags as wrangler.toml.
fn config(origin: &Origin, [pass, edge]: [u16; 2]) -> String {
    let wrangler = include_str!("../../wrangler.toml");
    let date = wrangler.lines().find_map(|line| line.strip_prefix("compatibility_date = ")).unwrap_or_default();
    let flags = r#"["enable_request_signal", "request_signal_passthrough"]"#;
    let backend = format!(r#"(name = "BACKEND_ORIGIN", text = "http://{}")"#, origin.address);
    let key = r#"(name = "EDGE_SIGNING_KEY", text = "bench:00000000000000000000000000000000")"#;
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "internet", network = (allow = ["private", "public"])),
    (name = "pass", worker = .pass),
    (name = "edge", worker = .edge),
  ],
  sockets = [
    (name = "pass", address = "127.0.0.1:{pass}", http = (), service = "pass"),
    (name = "edge", address = "127.0.0.1:{edge}", http = (), service = "edge"),
  ],
);
const pass :Workerd.Worker = (
  modules = [(name = "pass.js", esModule = embed "pass.js")],
  compatibilityDate = {date},
  bindings = [{backend}],
);
const edge :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js"), (name = "index_bg.wasm", wasm = embed "index_bg.wasm")],
  compatibilityDate = {date},
  compatibilityFlags = {flags},
  bindings = [{backend}, {key}],
);
"#
    )
}
