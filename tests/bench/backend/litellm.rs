//! `litellm`'s proxy, which is Python, as it starts by default, with one worker, and as its documentation advises for
//! production, with a worker for each core and no debug logs.
//! Without a database and without keys, as ours. <https://docs.litellm.ai/docs/proxy/prod>

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use goblin_tests::{process::Process, readiness, workspace};

use super::{
    installed::{self, free_address},
    rates::Rival,
};
use crate::canned::Origin;

const VERSION: &str = "1.106.12";

/// Each worker loads some hundred megabytes of Python.
const START_BOUND: Duration = Duration::from_mins(3);

/// How many processes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workers {
    /// What it does unless it is told otherwise.
    One,
    /// What its documentation advises.
    OneForEachCore,
}

/// With its version.
pub(super) fn name(workers: Workers) -> String {
    let workers = match workers {
        Workers::One => "one worker, as by default",
        Workers::OneForEachCore => "a worker for each core",
    };
    format!("litellm[proxy] {VERSION} (Python, {workers})")
}

/// Installs it from `PyPI` if need be, and starts it.
pub(super) async fn start(origin: &Origin, workers: Workers) -> Result<Rival> {
    let Ok(python) = workspace::command("python3").arg("--version").output().await else {
        bail!("Python is missing");
    };
    // Another Python is another environment: the old one may be gone.
    let python = String::from_utf8_lossy(&python.stdout).trim().replace(' ', "-").to_lowercase();
    let folder =
        installed::ensure(&format!("litellm-{VERSION}-{python}"), async |folder| install(&folder).await).await?;
    let (address, working) = (free_address()?, tempfile::tempdir()?);
    fs::write(working.path().join("config.yaml"), config(origin))?;
    let mut command = workspace::command(folder.join("bin/python"));
    command.arg(folder.join("bin/litellm")).args(["--config", "config.yaml", "--host", "127.0.0.1"]);
    command.args(["--port", &address.port().to_string(), "--telemetry", "False"]);
    if workers == Workers::OneForEachCore {
        command.args(["--num_workers", &std::thread::available_parallelism()?.to_string()]);
    }
    command.env("LITELLM_LOG", "ERROR").env("LITELLM_MODE", "PRODUCTION");
    // Otherwise it fetches the list of prices when it starts.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    // Without it, it does not start without keys.
    command.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
    command.current_dir(working.path());
    let process = Process::start("LiteLLM's proxy", command, None)?;
    let ready = readiness::wait_until_ready(address, "/health/readiness", START_BOUND).await;
    ready.with_context(|| format!("it does not start; its log ends:\n{}", process.log().tail(5)))?;
    Ok(Rival { process, address, head: Vec::new(), _folder: working })
}

async fn install(folder: &Path) -> Result<()> {
    let mut create = workspace::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(folder);
    installed::step(create).await.context("no virtual environment can be made")?;
    let mut pip = workspace::command(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.arg(format!("litellm[proxy]=={VERSION}"));
    installed::step(pip).await
}

fn config(origin: &Origin) -> String {
    format!(
        "model_list:\n  - model_name: gpt-4o-mini\n    litellm_params:\n      model: openai/gpt-4o-mini\n      \
         api_key: sk-of-the-bench\n      api_base: http://{}/v1\nlitellm_settings:\n  request_timeout: 600\n  \
         set_verbose: false\n",
        origin.address
    )
}
