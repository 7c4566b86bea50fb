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

/// `goblin-bench [edge | backend] [--quick]`: all, or one part. Quick rounds of the backend show whether the
/// measurement works; their figures say nothing.
#[tokio::main]
async fn main() -> Result<()> {
    let (mut parts, mut quick) = (vec!["edge", "backend"], false);
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "edge" => parts = vec!["edge"],
            "backend" => parts = vec!["backend"],
            "--quick" => quick = true,
            other => bail!("`{other}` is no part of the benchmark: say `edge`, `backend`, or nothing for both"),
        }
    }
    wrk::ensure().await?;
    resources::allow_open_files(OPEN_FILES)?;
    goblin_tests::http_client::choose_cryptography();
    let origin = canned::Origin::start().await?;
    println!("{}", machine::describe().await?);
    for part in parts {
        if part == "edge" {
            edge::measure(&origin).await?;
        } else {
            backend::measure(&origin, if quick { backend::QUICK } else { backend::FULL }).await?;
        }
    }
    Ok(())
}
