//! How long tests wait for what must happen.

use std::time::Duration;

/// Far beyond what anything takes on a busy machine, so that only what never happens fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits `what`, and panics with the words of `missing` when it does not happen.
pub async fn patiently<T>(what: impl Future<Output = T>, missing: impl FnOnce() -> String) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap_or_else(|_| panic!("{}", missing()))
}
