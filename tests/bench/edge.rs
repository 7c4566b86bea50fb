//! The edge in `workerd serve`, against a bare JavaScript pass-through with the same origin. Never through
//! `wrangler dev`, whose own proxies cost more than what is measured.

mod memory;
mod startup;
mod workers;

use std::{fmt::Write as _, fs, io::Write as _, time::Duration};

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use goblin_tests::{api_key::mint_api_key, workspace};

use self::workers::{ISSUER, Workers};
use crate::{
    canned::Origin,
    machine::processor_seconds,
    rounds::Rounds,
    wrk::{self, Load, Run},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: u32 = 16;

/// Prints rates, processor time, latency, memory, start-up and size, each when it is known.
pub(crate) async fn measure(origin: &Origin) -> Result<()> {
    let workers = Workers::start(origin).await?;
    let key = mint_api_key(ISSUER).await?;
    let [pass, unchecked, checked, told, limited] =
        ["pass", "unchecked", "checked", "told", "limited"].map(|name| workers.port(name));

    println!(
        "## Edge\n\n`workerd serve`, {CONNECTIONS} connections, {ROUNDS} interleaved rounds of {} s, chat requests of {} bytes.\n",
        ROUND.as_secs(),
        crate::canned::REQUEST.len(),
    );
    let targets = [
        ("JavaScript pass-through", pass),
        ("edge, without any check", unchecked),
        ("edge", checked),
        ("edge, with telemetry", told),
    ];
    for load in [Load::Chat, Load::Models] {
        println!("{}", compare(&workers, &targets, load, None).await?);
    }
    let targets = [("edge, no limit", checked), ("edge, exact limit of the key", limited)];
    println!("{}", compare(&workers, &targets, Load::Chat, Some(&key)).await?);
    println!("{}", latency(pass, told).await?);
    println!("{}", prompts(&workers, pass, told).await?);
    println!("{}", memory::measure(&workers, told).await?);
    workers.kill().await;
    println!("{}", startup::measure().await?);

    let wasm = fs::read(workspace::root().join("edge/build/index_bg.wasm"))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    println!("WebAssembly: {} bytes, {} bytes gzipped.\n", wasm.len(), gzip.finish()?.len());
    Ok(())
}

/// Several targets under the same load, in turns; each is compared with those before it.
async fn compare(workers: &Workers, targets: &[(&str, u16)], load: Load, key: Option<&str>) -> Result<String> {
    let each = || -> Vec<Rounds> { targets.iter().map(|_| Rounds::default()).collect() };
    let (mut rates, mut processor) = (each(), each());
    let mut ratios: Vec<Vec<Rounds>> = targets.iter().map(|_| each()).collect();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (index, (_, port)) in targets.iter().enumerate() {
            let (Run { per_second, .. }, micros) = loaded(workers, *port, load, key).await?;
            rates[index].push(per_second);
            processor[index].push(micros);
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
    Ok(table)
}

/// One round, and the processor time that it cost workerd per request, in microseconds.
async fn loaded(workers: &Workers, port: u16, load: Load, key: Option<&str>) -> Result<(Run, f64)> {
    let before = processor_seconds(workers.id());
    let run = wrk::run(([127, 0, 0, 1], port).into(), load, key, CONNECTIONS, ROUND).await?;
    let micros = (processor_seconds(workers.id()) - before) / run.requests * 1e6;
    Ok((run, micros))
}

/// What the edge adds to one connection's wait.
async fn latency(pass: u16, edge: u16) -> Result<String> {
    let (mut medians, mut added) = ([Rounds::default(), Rounds::default()], Rounds::default());
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (index, port) in [pass, edge].into_iter().enumerate() {
            let run = wrk::run(([127, 0, 0, 1], port).into(), Load::Chat, None, 1, ROUND).await?;
            medians[index].push(run.p50_ms);
            round.push(run.p50_ms);
        }
        added.push(round[1] - round[0]);
    }
    Ok(format!(
        "| one connection | p50 in ms |\n|---|---|\n| JavaScript pass-through | {} |\n| edge, with telemetry | {} |\n| added | {} |\n",
        medians[0].show(3),
        medians[1].show(3),
        added.show(3)
    ))
}

/// A long prompt against a short one.
async fn prompts(workers: &Workers, pass: u16, edge: u16) -> Result<String> {
    let mut table =
        "| prompt | 200 bytes, µs of processor time of workerd | 200 KB | ratio of each round |\n|---|---|---|---|\n"
            .to_owned();
    for (name, port) in [("JavaScript pass-through", pass), ("edge, with telemetry", edge)] {
        let (mut short, mut long, mut ratio) = (Rounds::default(), Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            let (_, of_short) = loaded(workers, port, Load::Chat, None).await?;
            let (_, of_long) = loaded(workers, port, Load::LongChat, None).await?;
            short.push(of_short);
            long.push(of_long);
            ratio.push(of_long / of_short);
        }
        writeln!(table, "| {name} | {} | {} | {} |", short.show(0), long.show(0), ratio.show(2))?;
    }
    Ok(table)
}
