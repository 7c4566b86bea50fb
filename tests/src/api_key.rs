//! API keys, minted as an operator mints them: by the backend's own command.

use anyhow::{Result, ensure};

use crate::backend;

/// Where the backend reads what makes API keys genuine.
pub(crate) const ISSUER_SECRETS_OF_THE_BACKEND: &str = "GOBLIN_AUTH__ISSUER_SECRETS";

/// Mints a key by `goblin-backend keys create`. `issuer_secret` is what `auth.issuer_secrets` says: one secret, or two
/// with a comma between, of which the first mints.
pub async fn mint_api_key(issuer_secret: &str) -> Result<String> {
    let key = backend::output(&["keys", "create"], &[(ISSUER_SECRETS_OF_THE_BACKEND, issuer_secret)]).await?;
    ensure!(key.starts_with("gob_"), "what `goblin-backend keys create` printed is no key");
    Ok(key)
}
