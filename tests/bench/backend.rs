//! The backend, against calling its upstream directly.

use std::time::Duration;

use anyhow::Result;
use goblin_tests::{backend::BackendOptions, signing_key, stack::start_backend};

use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);

/// Rate at 16 connections, latency at one.
pub(crate) async fn measure(origin: &Origin) -> Result<String> {
    let options = BackendOptions {
        // The signature is the edge's to make; wrk cannot sign each request anew.
        env: vec![("GOBLIN_EDGE__SIGNATURE".to_owned(), "off".to_owned())],
        ..BackendOptions::default()
    };
    let upstream = format!("http://{}/v1", origin.address);
    let backend = start_backend(&signing_key::fresh("bench")?, Some(&upstream), None, options).await?;
    let targets = [origin.address, backend.service()];

    let mut rates = [Rounds::default(), Rounds::default()];
    let mut medians = [Rounds::default(), Rounds::default()];
    let mut added = Rounds::default();
    for _ in 0..ROUNDS {
        for (index, address) in targets.into_iter().enumerate() {
            rates[index].push(wrk::run(address, Load::Chat, None, 16, ROUND).await?.per_second);
        }
        let mut round = Vec::new();
        for (index, address) in targets.into_iter().enumerate() {
            let run = wrk::run(address, Load::Chat, None, 1, ROUND).await?;
            medians[index].push(run.p50_ms);
            round.push(run.p50_ms);
        }
        added.push(round[1] - round[0]);
    }
    backend.kill().await;
    Ok(format!(
        "## Backend\n\nUnary chat over HTTP/1.1, {ROUNDS} interleaved rounds of {} s each, signature off, no telemetry endpoint.\n\n\
         | | requests/s, 16 connections | p50 in ms, 1 connection |\n|---|---|---|\n\
         | upstream directly | {} | {} |\n| through the backend | {} | {} |\n| added p50 | | {} |\n",
        ROUND.as_secs(),
        rates[0].show(0),
        medians[0].show(3),
        rates[1].show(0),
        medians[1].show(3),
        added.show(3),
    ))
}
