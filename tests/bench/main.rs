//! `cargo xtask bench`: how fast the product is, as ratios within one run. Prints the figures as Markdown.
//!
//! Rounds are interleaved, so that whatever else the machine does meets all alike; each figure is the median of its
//! rounds, with the least and the greatest.

mod backend;
mod canned;
mod edge;
mod machine;
mod rounds;
mod wrk;

use std::env;

use anyhow::{Result, bail};
use goblin_tests::resources;

/// Both ends of a thousand streams, and some for all else.
const OPEN_FILES: u64 = 8_192;

/// `goblin-bench [edge | backend | accounting | telemetry] [--quick]`: all, or one part. Quick rounds of the latter three show whether the
/// measurement works; their figures say nothing.
#[tokio::main]
async fn main() -> Result<()> {
    let (mut parts, mut quick) = (vec!["edge", "backend", "accounting", "telemetry"], false);
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "edge" => parts = vec!["edge"],
            "backend" => parts = vec!["backend"],
            "accounting" => parts = vec!["accounting"],
            "telemetry" => parts = vec!["telemetry"],
            "--quick" => quick = true,
            other => {
                bail!(
                    "`{other}` is no part of the benchmark: say `edge`, `backend`, `accounting`, `telemetry`, or \
                     nothing for all"
                )
            }
        }
    }
    wrk::ensure().await?;
    resources::allow_open_files(OPEN_FILES)?;
    goblin_tests::http_client::choose_cryptography();
    let origin = canned::Origin::start().await?;
    println!("{}", machine::describe().await?);
    for part in parts {
        let pace = if quick { backend::QUICK } else { backend::FULL };
        match part {
            "edge" => edge::measure(&origin).await?,
            "backend" => backend::measure(&origin, pace).await?,
            "telemetry" => backend::measure_telemetry(&origin, pace).await?,
            _ => backend::measure_accounting(&origin, pace).await?,
        }
    }
    Ok(())
}
