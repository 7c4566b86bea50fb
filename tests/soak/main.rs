//! `cargo xtask soak`: the backend under mixed traffic for a while, and what is left behind.

use std::{env, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use goblin_tests::{
    http_client, resources,
    soak::{self, SoakOptions},
};

/// Two ends for each client, and some for all else.
const OPEN_FILES: u64 = 8_192;

/// `goblin-soak SECONDS CLIENTS`
#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let mut number = |name: &str| -> Result<u64> {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("goblin-soak SECONDS CLIENTS: {name} is missing"))
    };
    let (seconds, clients) = (number("SECONDS")?, number("CLIENTS")?);
    http_client::choose_cryptography();
    resources::allow_open_files(OPEN_FILES)?;
    let report = soak::run(SoakOptions::of(Duration::from_secs(seconds), usize::try_from(clients)?)).await?;
    println!("{report}");
    let violations = report.violations();
    for violation in &violations {
        eprintln!("left behind or wrong: {violation}");
    }
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
