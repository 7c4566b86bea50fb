//! Keeps the counts in a store, and learns what other instances count.

use std::{sync::Arc, time::Duration};

use super::{DAY, PERIOD, Slos};
use crate::{
    monitoring::chain,
    ports::{SloCounts, StoreError},
};

/// How often.
const EVERY: Duration = Duration::from_secs(10);

/// How far back from what is known others are asked for again: they may have been late.
const AGAIN_MINUTES: u32 = 15;

/// How long counts are kept, in minutes.
const KEPT: u32 = 40 * DAY;

/// Rounds of an hour: after so many all is asked for again, and what is too old is dropped.
pub(super) const HOUR: u32 = 360;

/// Writes and reads.
pub(crate) struct SloKeeper {
    slos: Slos,
    store: Arc<dyn SloCounts>,
    /// Until when others' counts were known when they were asked for last. `None`: nothing is known yet.
    known_to: Option<u32>,
}

impl SloKeeper {
    /// Learns what was counted before. An error: it will be learnt later.
    pub(crate) async fn start(slos: Slos, store: Arc<dyn SloCounts>) -> Self {
        let mut keeper = Self { slos, store, known_to: None };
        if let Err(error) = keeper.learn_all().await {
            tracing::warn!(cause = chain(&error), "what objectives were judged by before is not known yet");
        }
        keeper
    }

    /// Keeps on until `ended`.
    pub(crate) async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let mut round = 1;
        loop {
            // A round is never cut off: what it has taken to be written would be lost.
            tokio::select! {
                () = tokio::time::sleep(EVERY) => self.round(round).await,
                () = &mut ended => break,
            }
            round += 1;
        }
        self.write().await;
    }

    pub(super) async fn round(&mut self, round: u32) {
        self.write().await;
        let now = self.slos.minute();
        let is_hourly = round.is_multiple_of(HOUR);
        // A failure is told by who cannot write either. Others may have been cut off for longer than that.
        let _ = match self.known_to {
            Some(known_to) if !is_hourly => self.learn(known_to.min(now).saturating_sub(AGAIN_MINUTES)).await,
            _ => self.learn_all().await,
        };
        if is_hourly {
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

    async fn learn_all(&mut self) -> Result<(), StoreError> {
        self.learn(self.slos.minute().saturating_sub(PERIOD + DAY)).await
    }

    async fn learn(&mut self, from: u32) -> Result<(), StoreError> {
        let now = self.slos.minute();
        let counts = self.store.read(self.slos.0.run, from).await?;
        self.slos.0.minutes.learn(from, &counts);
        self.known_to = Some(now);
        Ok(())
    }
}
