//! The key that an edge and its backend share.

use anyhow::{Result, anyhow};

/// A fresh key, `<id>:<64 hex digits>`.
pub fn fresh(id: &str) -> Result<String> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(format!("{id}:{}", hex::encode(secret)))
}
