//! API keys, minted as an operator mints them: by the backend's own command.

use anyhow::{Result, ensure};

use crate::backend;

/// Where the backend reads what makes API keys genuine.
pub(crate) const ISSUER_SECRETS_OF_THE_BACKEND: &str = "GOBLIN_AUTH__ISSUER_SECRETS";

/// Where the backend keeps what it keeps.
pub(crate) const STORE_URL: &str = "GOBLIN_STORE__URL";

/// Mints a key that an edge lets pass, and no backend knows: its store is gone. `issuer_secret` is what
/// `auth.issuer_secrets` says: one secret, or two with a comma between, of which the first mints.
pub async fn mint_api_key(issuer_secret: &str) -> Result<String> {
    checked(backend::output(&["keys", "create"], &[(ISSUER_SECRETS_OF_THE_BACKEND, issuer_secret)]).await?)
}

/// Mints a key into the store at `store_url` by `goblin-backend keys create`, with more `arguments` of that command.
pub async fn create_api_key(issuer_secret: &str, store_url: &str, arguments: &[&str]) -> Result<String> {
    let env = [(ISSUER_SECRETS_OF_THE_BACKEND, issuer_secret), (STORE_URL, store_url)];
    checked(backend::output(&[&["keys", "create"], arguments].concat(), &env).await?)
}

/// Mints a key into the store of the user's configuration.
pub(crate) async fn create_users_api_key(issuer_secret: &str, arguments: &[&str]) -> Result<String> {
    let env = [(ISSUER_SECRETS_OF_THE_BACKEND, issuer_secret)];
    checked(backend::users_output(&[&["keys", "create"], arguments].concat(), &env).await?)
}

fn checked(key: String) -> Result<String> {
    ensure!(key.starts_with("gob_"), "what `goblin-backend keys create` printed is no key");
    Ok(key)
}
