//! Settlements that wait until the server takes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::ports::{Amounts, Reservation, StoreError};

/// As many are on the way at once.
const AT_ONCE: usize = 64;

/// Pauses while the server cannot be reached.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A server that counts.
#[async_trait]
pub(super) trait Settle: Send + Sync + 'static {
    /// Settles, once however often it is told.
    async fn settle_now(&self, reservation: &Reservation, used: Amounts) -> Result<(), StoreError>;

    /// Whatever is to be done now and then.
    async fn tidy_up(&self) -> Result<(), StoreError>;
}

/// How often [`Settle::tidy_up`] is called.
const TIDY: Duration = Duration::from_mins(1);

/// Takes settlements and carries them out in the background, until it is dropped. They are bounded by the requests in
/// flight while the server is away.
pub(super) struct Settling {
    queue: mpsc::UnboundedSender<(Reservation, Amounts)>,
    waiting: Arc<AtomicUsize>,
}

impl Settling {
    /// Must be called inside a tokio runtime.
    pub(super) fn start(server: Arc<impl Settle>) -> Self {
        let (queue, settlements) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(carry_out(server, settlements, waiting.clone()));
        Self { queue, waiting }
    }

    /// Takes one. Returns at once.
    pub(super) fn settle(&self, reservation: &Reservation, used: Amounts) {
        if reservation.claims.is_empty() {
            return;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        // It is there as long as this is.
        let _ = self.queue.send((reservation.clone(), used));
    }

    /// Waits until all are carried out, within `bound`; how many are not.
    pub(super) async fn flush(&self, bound: Duration) -> usize {
        let settled = async {
            while self.waiting.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(bound, settled).await;
        self.waiting.load(Ordering::Acquire)
    }
}

async fn carry_out(
    server: Arc<impl Settle>,
    mut queue: mpsc::UnboundedReceiver<(Reservation, Amounts)>,
    waiting: Arc<AtomicUsize>,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut tidy = tokio::time::interval(TIDY);
    tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            received = queue.recv_many(&mut batch, AT_ONCE) => if received == 0 { return },
            _ = tidy.tick() => {
                if let Err(error) = server.tidy_up().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "old counters could not be removed");
                }
            }
        }
        let mut pause = FIRST_PAUSE;
        while !batch.is_empty() {
            let before = batch.len();
            let (left, error) = attempt(server.as_ref(), batch).await;
            waiting.fetch_sub(before - left.len(), Ordering::AcqRel);
            batch = left;
            let Some(error) = error else { break };
            if pause == FIRST_PAUSE {
                tracing::warn!(error = &error as &dyn std::error::Error, "limits could not be settled; trying again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Tries all once; those that are left, and why the first of them is.
async fn attempt(
    server: &impl Settle,
    batch: Vec<(Reservation, Amounts)>,
) -> (Vec<(Reservation, Amounts)>, Option<StoreError>) {
    let results = join_all(batch.iter().map(|(reservation, used)| server.settle_now(reservation, *used))).await;
    let (mut left, mut first) = (Vec::new(), None);
    for (settlement, result) in batch.into_iter().zip(results) {
        if let Err(error) = result {
            left.push(settlement);
            first.get_or_insert(error);
        }
    }
    (left, first)
}

/// A reservation whose outcome is not known yet; released when it never will be.
pub(super) struct Pending<'a> {
    settling: &'a Settling,
    reservation: Option<&'a Reservation>,
}

impl<'a> Pending<'a> {
    /// From before it is sent.
    pub(super) fn new(settling: &'a Settling, reservation: &'a Reservation) -> Self {
        Self { settling, reservation: Some(reservation) }
    }

    /// It is known.
    pub(super) fn known(mut self) {
        self.reservation = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation {
            self.settling.settle(reservation, Amounts::default());
        }
    }
}
