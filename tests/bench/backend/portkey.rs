//! Portkey's gateway, which is JavaScript, as its README runs it: one Node process.
//! <https://github.com/Portkey-AI/gateway>

use anyhow::{Context as _, Result};
use goblin_tests::{patience::PATIENCE, process::Process, readiness, workspace};

use super::{
    installed::{self, free_address},
    rates::Rival,
};
use crate::canned::Origin;

const VERSION: &str = "1.15.2";

/// With its version.
pub(super) fn name() -> String {
    format!("@portkey-ai/gateway {VERSION} (Node)")
}

/// Installs it from npm if need be, and starts it without its console.
pub(super) async fn start(origin: &Origin) -> Result<Rival> {
    let folder = installed::ensure(&format!("portkey-gateway-{VERSION}"), async |folder| {
        let mut npm = workspace::command("npm");
        // npm runs on the machine's own Node.
        npm.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        npm.args(["install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--prefix"]).arg(&folder);
        npm.arg(format!("@portkey-ai/gateway@{VERSION}")).current_dir(&folder);
        installed::step(npm).await
    })
    .await?;
    let (address, working) = (free_address()?, tempfile::tempdir()?);
    let mut node = workspace::command(workspace::node());
    node.arg(folder.join("node_modules/@portkey-ai/gateway/build/start-server.js"));
    node.args(["--headless", &format!("--port={}", address.port())]).env("NODE_ENV", "production");
    node.current_dir(working.path());
    let process = Process::start("Portkey's gateway", node, None)?;
    let ready = readiness::wait_until_ready(address, "/", PATIENCE).await;
    ready.with_context(|| format!("it does not start; its log ends:\n{}", process.log().tail(5)))?;
    let head = vec![
        ("x-portkey-provider", "openai".to_owned()),
        ("x-portkey-custom-host", format!("http://{}/v1", origin.address)),
    ];
    Ok(Rival { process, address, head, _folder: working })
}
