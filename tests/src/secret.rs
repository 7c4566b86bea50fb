//! Secrets that nobody can guess.

use anyhow::{Result, anyhow};

/// A fresh one: 32 random bytes as 64 hex digits.
pub fn fresh() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(hex::encode(bytes))
}
