//! What telemetry costs: the same backend with all of it on and every trace recorded, and with `OTEL_SDK_DISABLED=true`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use goblin_tests::{backend::Backend, resources};

use super::{Pace, start_with};
use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

const CONNECTIONS: u32 = 16;

/// Pairs for each round of other measurements: a difference of a few per cent needs more of them.
const PAIRS: usize = 3;

/// Until what waits to be sent has left, which belongs to what it costs.
const AFTERWARDS: Duration = Duration::from_millis(1_500);

/// A table with the goals of 5 % and 15 %, 50 MB and 10 ms.
pub(super) async fn measure(origin: &Origin, pace: Pace) -> Result<String> {
    let on = start(origin, "false").await?;
    let off = start(origin, "true").await?;
    let loads = [Load::Chat, Load::StreamedChat];
    let [mut on_micros, mut off_micros, mut more] = [(); 3].map(|()| [Rounds::default(), Rounds::default()]);
    // Who comes first finds another machine than who comes second: they take turns at it.
    for round in 0..pace.rounds * PAIRS {
        for (index, load) in loads.into_iter().enumerate() {
            let (with, without) = if round % 2 == 0 {
                let with = cpu_micros(&on, load, pace).await?;
                (with, cpu_micros(&off, load, pace).await?)
            } else {
                let without = cpu_micros(&off, load, pace).await?;
                (cpu_micros(&on, load, pace).await?, without)
            };
            on_micros[index].push(with);
            off_micros[index].push(without);
            more[index].push((with / without - 1.0) * 100.0);
        }
    }
    let memory = |backend: &Backend| resources::resident_bytes(backend.process().id()).map(|bytes| bytes / 1_000_000);
    let (with, without) = (memory(&on).context("no /proc")?, memory(&off).context("no /proc")?);
    let mut scrapes = Rounds::default();
    for _ in 0..20 {
        scrapes.push(scrape(&on).await?);
    }
    on.kill().await;
    off.kill().await;
    let row = |name: &str, index: usize, goal: u32| {
        format!(
            "| {name} | {} | {} | {} (goal: at most {goal}) |\n",
            off_micros[index].show(1),
            on_micros[index].show(1),
            more[index].show(1)
        )
    };
    Ok(format!(
        "| CPU time of a request, µs, {CONNECTIONS} connections | without telemetry | with all of it | more, in % |\n\
         |---|---|---|---|\n{}{}\
         | resident after that, MB (goal: at most 50 more) | {without} | {with} | |\n\
         | `/metrics`, ms (goal: at most 10) | | {} | |\n",
        row("the smallest unary chat", 0, 15),
        row("a streamed chat of 100 tokens", 1, 5),
        scrapes.show(2)
    ))
}

async fn start(origin: &Origin, disabled: &str) -> Result<Backend> {
    let env = [
        ("GOBLIN_AUTH__MODE", "off"),
        ("GOBLIN_STORE__URL", "none"),
        ("OTEL_SDK_DISABLED", disabled),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ];
    start_with(origin, env.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).await
}

/// CPU time of one request, what is done for it afterwards included.
async fn cpu_micros(backend: &Backend, load: Load, pace: Pace) -> Result<f64> {
    let seconds = || resources::cpu_seconds(backend.process().id()).context("/proc does not say");
    let before = seconds()?;
    let run = wrk::run(backend.service(), load, Some("sk-of-the-bench"), CONNECTIONS, pace.round).await?;
    tokio::time::sleep(AFTERWARDS).await;
    Ok((seconds()? - before) * 1e6 / run.requests)
}

/// Milliseconds of one look at everything.
async fn scrape(backend: &Backend) -> Result<f64> {
    let url = format!("http://{}/metrics", backend.operations());
    let begun = Instant::now();
    let answer = goblin_tests::http_client::new().get(url).send().await?.error_for_status()?;
    answer.bytes().await?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
