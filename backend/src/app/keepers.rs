//! What goes on beside requests: old conversations expire, the ledger is added up, objectives are kept.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::{
    chat::conversation::expire_old,
    config::Config,
    monitoring::{Watch, business_metrics::BusinessKeeper, slos::SloKeeper},
    ports::{Clock, Incidents},
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
        tokio::spawn(forget_incidents(kept.incidents.clone(), clock.clone(), shutdown.drained()));
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

/// How long incidents that have ended are shown.
const INCIDENTS_KEPT: Duration = Duration::from_hours(90 * 24);

/// Drops old ones from time to time, until `ended`.
async fn forget_incidents(incidents: Arc<dyn Incidents>, clock: Arc<dyn Clock>, ended: impl Future<Output = ()>) {
    let rounds = async {
        loop {
            tokio::time::sleep(Duration::from_hours(1)).await;
            let kept_ms = u64::try_from(INCIDENTS_KEPT.as_millis()).unwrap_or(u64::MAX);
            // The next round tries again.
            let _ = incidents.forget(clock.unix_millis().saturating_sub(kept_ms)).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = ended => {}
    }
}
