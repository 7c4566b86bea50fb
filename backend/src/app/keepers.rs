//! What goes on beside requests: old conversations expire, the ledger is added up, objectives are kept.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::{
    chat::conversation::expire_old,
    config::Config,
    monitoring::{Watch, business_metrics::BusinessKeeper, slos::SloKeeper},
    ports::Clock,
    shutdown::Shutdown,
    store::Stores,
};

/// Those that are at work.
pub(super) struct Keepers {
    /// Its end is theirs who write to the last.
    end: oneshot::Sender<()>,
    slos: Option<JoinHandle<()>>,
}

impl Keepers {
    /// Begins. Without a store there is nothing to do.
    pub(super) async fn start(
        config: &Config,
        kept: Option<&Stores>,
        watch: &Watch,
        clock: &Arc<dyn Clock>,
        shutdown: &Shutdown,
    ) -> Self {
        let (end, ended) = oneshot::channel();
        let Some(kept) = kept else { return Self { end, slos: None } };
        if let Some(retention) = config.conversations.retention {
            tokio::spawn(expire_old(kept.conversations.clone(), clock.clone(), retention, shutdown.drained()));
        }
        let business = BusinessKeeper::new(kept.business.clone(), clock.clone(), &watch.metrics);
        tokio::spawn(business.run(shutdown.drained()));
        let slos = SloKeeper::start(watch.slos.clone(), kept.slo_counts.clone()).await;
        Self { end, slos: Some(tokio::spawn(slos.run(async { drop(ended.await) }))) }
    }

    /// Ends, once nothing happens any more that is to be kept.
    pub(super) async fn end(self, bound: Duration) {
        drop(self.end);
        if let Some(slos) = self.slos
            && timeout(bound, slos).await.is_err()
        {
            tracing::warn!("the store does not take what objectives are judged by; the last seconds are lost");
        }
    }
}
