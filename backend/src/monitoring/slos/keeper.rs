//! Keeps the counts in a store, and learns what other instances count.

use std::{sync::Arc, time::Duration};

use super::{PERIOD, Slos};
use crate::{
    monitoring::chain,
    ports::{SloCounts, StoreError},
};

/// How often.
const EVERY: Duration = Duration::from_secs(10);

/// How far back others are asked for again: they may have been late.
const AGAIN_MINUTES: u32 = 15;

/// How long counts are kept, in minutes.
const KEPT: u32 = 40 * 24 * 60;

/// Between two looks for what is too old.
const FORGET_EVERY: u32 = 360;

/// Writes and reads.
pub(crate) struct SloKeeper {
    slos: Slos,
    store: Arc<dyn SloCounts>,
}

impl SloKeeper {
    /// Learns what was counted before. An error: it will be learnt later.
    pub(crate) async fn start(slos: Slos, store: Arc<dyn SloCounts>) -> Self {
        let keeper = Self { slos, store };
        if let Err(error) = keeper.learn(keeper.slos.minute().saturating_sub(PERIOD + 24 * 60)).await {
            tracing::warn!(cause = chain(&error), "what objectives were judged by before is not known yet");
        }
        keeper
    }

    /// Keeps on until `ended`.
    pub(crate) async fn run(self, ended: impl Future<Output = ()>) {
        let mut round = 0;
        let rounds = async {
            loop {
                tokio::time::sleep(EVERY).await;
                self.round(round).await;
                round += 1;
            }
        };
        tokio::select! {
            () = rounds => {}
            () = ended => {}
        }
        self.write().await;
    }

    async fn round(&self, round: u32) {
        self.write().await;
        let now = self.slos.minute();
        // A failure is told by who cannot write either.
        let _ = self.learn(now.saturating_sub(AGAIN_MINUTES)).await;
        if round.is_multiple_of(FORGET_EVERY) {
            let _ = self.store.forget(now.saturating_sub(KEPT)).await;
        }
    }

    /// Writes what is new. What cannot be written is written later.
    pub(super) async fn write(&self) {
        let counts = self.slos.0.minutes.take_unwritten();
        if counts.is_empty() {
            return;
        }
        if let Err(error) = self.store.write(self.slos.0.run, &counts).await {
            self.slos.0.minutes.give_back(&counts);
            tracing::warn!(cause = chain(&error), "what objectives are judged by cannot be written yet");
        }
    }

    pub(super) async fn learn(&self, from: u32) -> Result<(), StoreError> {
        let counts = self.store.read(self.slos.0.run, from).await?;
        self.slos.0.minutes.learn(from, &counts);
        Ok(())
    }
}
