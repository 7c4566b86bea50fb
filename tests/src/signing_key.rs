//! The key that an edge and its backend share.

use anyhow::Result;

use crate::secret;

/// A fresh key, `<id>:<64 hex digits>`.
pub fn fresh(id: &str) -> Result<String> {
    Ok(format!("{id}:{}", secret::fresh()?))
}
