//! API keys, minted as an operator mints them: by the backend's own command.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::backend;

/// Where the backend reads what makes API keys genuine.
pub(crate) const ISSUER_SECRETS_OF_THE_BACKEND: &str = "GOBLIN_AUTH__ISSUER_SECRETS";

/// Longest that the command may take; it only computes.
const BOUND: Duration = Duration::from_secs(30);

/// Mints a key by `goblin-backend keys create`. `issuer_secret` is what `auth.issuer_secrets` says: one secret, or two
/// with a comma between, of which the first mints.
pub async fn mint_api_key(issuer_secret: &str) -> Result<String> {
    let (mut command, _directory) = backend::unconfigured()?;
    command.args(["keys", "create"]).env(ISSUER_SECRETS_OF_THE_BACKEND, issuer_secret).kill_on_drop(true);
    let output = tokio::time::timeout(BOUND, command.output())
        .await
        .context("`goblin-backend keys create` does not end")?
        .context("`goblin-backend keys create` could not be started")?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.strip_suffix('\n') {
        Some(key) if output.status.success() && key.starts_with("gob_") && !key.contains('\n') => Ok(key.to_owned()),
        _ => bail!(
            "`goblin-backend keys create` ended with {} and printed {} lines, which are not one key; its log:\n{}",
            output.status,
            said.lines().count(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
