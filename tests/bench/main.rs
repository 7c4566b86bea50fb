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

use anyhow::Result;

#[tokio::main]
async fn main() -> Result<()> {
    wrk::ensure().await?;
    goblin_tests::http_client::choose_cryptography();
    let origin = canned::Origin::start().await?;
    println!("{}", machine::describe().await?);
    edge::measure(&origin).await?;
    println!("{}", backend::measure(&origin).await?);
    Ok(())
}
