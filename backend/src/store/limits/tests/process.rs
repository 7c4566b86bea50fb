//! Limits that are counted in one process: both ways lead to the same counters.

use std::sync::Arc;

use super::{Bench, KnownLedger, limits_contract};
use crate::{ports::Limits, store::limits::ProcessLimits};

#[expect(clippy::unused_async, reason = "others have servers to start")]
async fn bench(_test: &str, ledger: Arc<KnownLedger>) -> Option<Bench> {
    let limits: Arc<dyn Limits> = Arc::new(ProcessLimits::new(Some(ledger)));
    Some(Bench { limits: [limits.clone(), limits] })
}

limits_contract!(bench);
