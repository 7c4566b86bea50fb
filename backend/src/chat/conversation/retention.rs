//! Conversations that nobody changed for long are deleted.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::ports::{Clock, Conversations};

/// How many are deleted at once: a store with one writer is not held up for long.
const PORTION: u32 = 50;
/// Between two portions.
const BREATH: Duration = Duration::from_millis(200);
/// Longest time between two looks.
const RARELY: Duration = Duration::from_hours(1);
/// Shortest, and after a store that failed.
const OFTEN: Duration = Duration::from_secs(1);

/// Deletes conversations that did not change for `retention`, until `stop` comes. Run by one task; several instances on
/// one store may each have theirs.
pub(crate) async fn expire_old(
    store: Arc<dyn Conversations>,
    clock: Arc<dyn Clock>,
    retention: Duration,
    stop: impl Future<Output = ()> + Send,
) {
    let all = async {
        loop {
            let pause = expire_once(&*store, &*clock, retention).await;
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = stop => {}
        () = all => {}
    }
}

/// One portion; how long to wait for the next.
async fn expire_once(store: &dyn Conversations, clock: &dyn Clock, retention: Duration) -> Duration {
    let millis = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    // A clock that stands before the beginning of times makes nothing old.
    let Some(before_ms) = clock.unix_millis().checked_sub(millis) else { return RARELY };
    match store.expire(before_ms, PORTION).await {
        Ok(PORTION..) => BREATH,
        Ok(deleted) => {
            if deleted > 0 {
                tracing::info!(deleted, "conversations deleted that are older than conversations.retention");
            }
            (retention / 10).clamp(OFTEN, RARELY)
        }
        Err(error) => {
            let error = crate::monitoring::chain(&error);
            tracing::warn!(error, "old conversations cannot be deleted for now; it is tried again");
            RARELY.min(OFTEN * 30)
        }
    }
}
