//! The backend, against calling its upstream directly and against other gateways.
//!
//! The edge's signature is off, as wrk cannot sign each request anew; so are authentication, limits and the ledger, but
//! where they are what is measured. Logs and traces are on, the traces to a collector that takes all.

mod accounting;
mod installed;
mod large_ledger;
mod latency;
mod litellm;
mod portkey;
mod rates;
mod sizes;
mod streams;
mod telemetry;
mod token_reader;

use std::time::Duration;

use anyhow::Result;
use goblin_tests::{
    backend::{Backend, BackendOptions},
    signing_key,
    stack::{OtlpTarget, start_backend},
};

use crate::canned::Origin;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Interleaved rounds of every figure.
    rounds: usize,
    /// Length of a round of wrk.
    round: Duration,
    /// How long the tokens of open streams are timed in a round.
    streaming: Duration,
    /// Rows of the ledger that is asked.
    ledger_rows: u32,
}

/// For figures.
pub(crate) const FULL: Pace =
    Pace { rounds: 5, round: Duration::from_secs(4), streaming: Duration::from_secs(20), ledger_rows: 10_000_000 };

/// To see that the measurement works.
pub(crate) const QUICK: Pace =
    Pace { rounds: 1, round: Duration::from_secs(1), streaming: Duration::from_secs(3), ledger_rows: 400_000 };

/// Prints each table when it is known.
pub(crate) async fn measure(origin: &Origin, pace: Pace) -> Result<()> {
    println!(
        "## Backend\n\nHTTP/1.1, {} interleaved rounds of {} s each, authentication and signature off, traces on \
         (http/protobuf).\n",
        pace.rounds,
        pace.round.as_secs()
    );
    let backend = start(origin).await?;
    println!("{}", latency::measure(origin, &backend, pace).await?);
    println!("{}", rates::measure(origin, &backend, pace).await?);
    println!("{}", sizes::measure(origin, &backend, pace).await?);
    backend.kill().await;
    println!("{}", streams::measure(origin, pace).await?);
    Ok(())
}

/// What identity, limits and the ledger cost; likewise.
pub(crate) async fn measure_accounting(origin: &Origin, pace: Pace) -> Result<()> {
    println!("## Keys, limits and ledger\n\n{} interleaved rounds of {} s each.\n", pace.rounds, pace.round.as_secs());
    let without = start(origin).await?;
    println!("{}", accounting::measure(origin, &without, pace).await?);
    without.kill().await;
    println!("{}", large_ledger::measure(origin, pace).await?);
    Ok(())
}

/// What telemetry costs; likewise.
pub(crate) async fn measure_telemetry(origin: &Origin, pace: Pace) -> Result<()> {
    println!("## Telemetry\n\n{} interleaved rounds of {} s each.\n", pace.rounds, pace.round.as_secs());
    println!("{}", telemetry::measure(origin, pace).await?);
    Ok(())
}

/// A fresh backend in front of the origin, which asks nobody who he is and keeps nothing.
async fn start(origin: &Origin) -> Result<Backend> {
    let env = [("GOBLIN_AUTH__MODE", "off"), ("GOBLIN_STORE__URL", "none")];
    start_with(origin, env.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).await
}

/// A fresh backend in front of the origin, with these variables.
async fn start_with(origin: &Origin, mut env: Vec<(String, String)>) -> Result<Backend> {
    env.push(("GOBLIN_EDGE__SIGNATURE".to_owned(), "off".to_owned()));
    let options = BackendOptions { env, ..BackendOptions::default() };
    let upstream = format!("http://{}/v1", origin.address);
    let collector = OtlpTarget { endpoint: format!("http://{}", origin.address), protocol: "http/protobuf" };
    start_backend(&signing_key::fresh("bench")?, Some(&upstream), Some(&collector), options).await
}
