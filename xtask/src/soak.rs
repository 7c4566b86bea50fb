//! `cargo xtask soak`: builds for release, then lets the harness make traffic and look for what is left behind.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use goblin_tests::workspace;

use crate::bench;

/// How much traffic.
#[derive(Args)]
pub(crate) struct SoakOptions {
    /// How long, in whole seconds, minutes or hours: `90s`, `10m`, `2h`. A warm-up of up to two minutes comes before.
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "10m")]
    time: Duration,
    /// Clients at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    clients: u32,
}

/// Prints what was found; fails when anything was left behind.
pub(crate) async fn run(options: &SoakOptions) -> Result<ExitCode> {
    bench::build_for_release().await?;
    let mut soak = workspace::command(bench::released("goblin-soak")?);
    soak.args([options.time.as_secs().to_string(), options.clients.to_string()]);
    let status = soak.status().await.context("goblin-soak cannot be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("write a whole number and s, m or h, such as 10m".to_owned()),
    };
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    let seconds = number.and_then(|number| number.checked_mul(seconds)).filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| "must be longer than nothing, and a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "m", "0s", "1d", "-1s", "1.5m", "99999999999999999999s", "9999999999999999999h"] {
            duration(text).unwrap_err();
        }
    }
}
