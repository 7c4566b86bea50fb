//! The backend, against calling its upstream directly and against other gateways.
//!
//! Authentication and the edge's signature are off, as wrk cannot sign each request anew; logs and traces are on, the
//! traces to a collector that takes all.

mod installed;
mod latency;
mod litellm;
mod portkey;
mod rates;
mod sizes;
mod streams;
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
}

/// For figures.
pub(crate) const FULL: Pace = Pace { rounds: 5, round: Duration::from_secs(4), streaming: Duration::from_secs(20) };

/// To see that the measurement works.
pub(crate) const QUICK: Pace = Pace { rounds: 1, round: Duration::from_secs(1), streaming: Duration::from_secs(3) };

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

/// A fresh backend in front of the origin.
async fn start(origin: &Origin) -> Result<Backend> {
    let options = BackendOptions {
        env: [("GOBLIN_EDGE__SIGNATURE", "off"), ("GOBLIN_AUTH__MODE", "off")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..BackendOptions::default()
    };
    let upstream = format!("http://{}/v1", origin.address);
    let collector = OtlpTarget { endpoint: format!("http://{}", origin.address), protocol: "http/protobuf" };
    start_backend(&signing_key::fresh("bench")?, Some(&upstream), Some(&collector), options).await
}
