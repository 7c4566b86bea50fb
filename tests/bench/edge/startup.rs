//! How much processor time the Worker takes to start, by wrangler's own measurement: Cloudflare bounds it.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, ensure};
use goblin_tests::workspace;
use serde::Deserialize;

use crate::rounds::Rounds;

const ROUNDS: usize = 5;

/// What V8's profiler writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    nodes: Vec<Node>,
    samples: Vec<u64>,
    /// Microseconds from one sample to the next.
    time_deltas: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u64,
    call_frame: CallFrame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFrame {
    function_name: String,
}

/// A line with the milliseconds that are not idle.
pub(super) async fn measure() -> Result<String> {
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        rounds.push(busy_millis().await?);
    }
    Ok(format!("Start-up: {} ms of processor time (`wrangler check startup`, {ROUNDS} rounds).\n", rounds.show(0)))
}

async fn busy_millis() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("startup.cpuprofile");
    let mut command = workspace::command(workspace::node());
    command.arg(workspace::wrangler_entry()).args(["check", "startup", "--outfile"]).arg(&file);
    command.env("CI", "1").env("WRANGLER_SEND_METRICS", "false").env("WRANGLER_WRITE_LOGS", "false");
    let output = command.output().await?;
    ensure!(output.status.success(), "wrangler check startup: {}", String::from_utf8_lossy(&output.stderr));
    let profile: Profile = serde_json::from_slice(&fs::read(&file)?).context("no profile as V8 writes it")?;
    let names: BTreeMap<u64, &str> =
        profile.nodes.iter().map(|node| (node.id, node.call_frame.function_name.as_str())).collect();
    let busy = profile.samples.iter().zip(&profile.time_deltas).filter(|(id, _)| names.get(id) != Some(&"(idle)"));
    #[expect(clippy::cast_precision_loss, reason = "a profile is short")]
    let millis = busy.map(|(_, micros)| *micros).sum::<i64>() as f64 / 1e3;
    Ok(millis)
}
