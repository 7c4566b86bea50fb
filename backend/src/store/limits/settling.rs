//! Settlements that wait until the server takes them.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    monitoring,
    ports::{Amounts, Reservation, StoreError},
};

/// As many are on the way at once.
const AT_ONCE: usize = 64;

/// So often a settlement is refused before it is given up: its counters then keep what was reserved.
const REFUSALS: u32 = 5;

/// Pauses between two tries of what could not be settled.
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

/// A settlement that is not carried out yet.
struct Waiting {
    reservation: Reservation,
    used: Amounts,
    /// How often the server refused it.
    refusals: u32,
}

/// Takes settlements and carries them out in the background, until it is dropped. They are bounded by the requests in
/// flight while the server is away.
pub(super) struct Settling {
    queue: mpsc::UnboundedSender<Waiting>,
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
        let _ = self.queue.send(Waiting { reservation: reservation.clone(), used, refusals: 0 });
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

/// New ones are tried at once, whatever became of those before them.
async fn carry_out(server: Arc<impl Settle>, mut queue: mpsc::UnboundedReceiver<Waiting>, waiting: Arc<AtomicUsize>) {
    let mut new = Vec::with_capacity(AT_ONCE);
    let mut left: VecDeque<Waiting> = VecDeque::new();
    let (mut pause, mut again_at) = (FIRST_PAUSE, Instant::now());
    let mut tidy = tokio::time::interval(TIDY);
    tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut is_again = false;
        tokio::select! {
            biased;
            () = sleep_until(again_at), if !left.is_empty() => {
                is_again = true;
                new.extend(left.drain(..left.len().min(AT_ONCE)));
            }
            received = queue.recv_many(&mut new, AT_ONCE) => if received == 0 { return },
            _ = tidy.tick() => {
                if let Err(error) = server.tidy_up().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "old counters could not be removed");
                }
            }
        }
        let tried = new.len();
        let (failed, lost) = attempt(server.as_ref(), std::mem::take(&mut new)).await;
        waiting.fetch_sub(tried - failed.len(), Ordering::AcqRel);
        if failed.is_empty() && lost == 0 {
            // The server is there: the rest at once.
            (pause, again_at) = (FIRST_PAUSE, Instant::now());
        } else if is_again {
            pause = (pause * 2).min(LONGEST_PAUSE);
            again_at = Instant::now() + pause;
        } else if left.is_empty() {
            tracing::warn!("limits could not be settled; trying again");
            again_at = Instant::now() + pause;
        }
        left.extend(failed);
    }
}

/// Tries all once. Those that are to be tried again, and how many are given up.
async fn attempt(server: &impl Settle, batch: Vec<Waiting>) -> (Vec<Waiting>, usize) {
    let results = join_all(batch.iter().map(|it| server.settle_now(&it.reservation, it.used))).await;
    let (mut again, mut lost) = (Vec::new(), 0);
    for (mut settlement, result) in batch.into_iter().zip(results) {
        let Err(error) = result else { continue };
        let cause = monitoring::chain(&error);
        settlement.refusals += u32::from(matches!(error, StoreError::Refused(_) | StoreError::Corrupt(_)));
        if settlement.refusals < REFUSALS {
            tracing::debug!(cause, "a reservation could not be settled yet");
            again.push(settlement);
        } else {
            tracing::error!(cause, "a settlement of limits is refused, and given up: what was reserved stays counted");
            lost += 1;
        }
    }
    (again, lost)
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ports::{LimitSet, OpeningId, Subject};

    /// Takes every settlement but those of the first byte `refused`, and none while it is away.
    #[derive(Default)]
    struct Server {
        away: AtomicUsize,
        refused: u8,
        settled: Mutex<Vec<u8>>,
    }

    #[async_trait]
    impl Settle for Server {
        async fn settle_now(&self, reservation: &Reservation, _: Amounts) -> Result<(), StoreError> {
            let name = reservation.opening.0[0];
            if self.away.load(Ordering::Relaxed) > 0 {
                self.away.fetch_sub(1, Ordering::Relaxed);
                return Err(StoreError::Unavailable("away".into()));
            }
            if name == self.refused {
                return Err(StoreError::Refused("as the test wants it".into()));
            }
            self.settled.lock().unwrap().push(name);
            Ok(())
        }

        async fn tidy_up(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn reservation(name: u8) -> Reservation {
        let claims = vec![(Subject::Key("K".to_owned()), LimitSet::default())];
        Reservation { opening: OpeningId([name; 16]), at_ms: 0, claims, amounts: Amounts::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_refused_holds_no_other_up_and_is_given_up() {
        let server = Arc::new(Server { refused: 1, ..Server::default() });
        let settling = Settling::start(server.clone());
        for name in [1, 2] {
            settling.settle(&reservation(name), Amounts::default());
        }
        tokio::time::sleep(FIRST_PAUSE / 2).await;
        settling.settle(&reservation(3), Amounts::default());
        tokio::time::sleep(FIRST_PAUSE / 4).await;
        assert_eq!(*server.settled.lock().unwrap(), [2, 3]);
        assert_eq!(settling.waiting.load(Ordering::Relaxed), 1);
        assert_eq!(settling.flush(Duration::from_mins(1)).await, 0);
        assert_eq!(*server.settled.lock().unwrap(), [2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_while_the_server_is_away() {
        let server = Arc::new(Server { away: AtomicUsize::new(500), ..Server::default() });
        let settling = Settling::start(server.clone());
        let all: Vec<u8> = (1..=200).collect();
        for name in &all {
            settling.settle(&reservation(*name), Amounts::default());
        }
        assert_eq!(settling.flush(Duration::from_mins(1)).await, 0);
        let mut settled = server.settled.lock().unwrap().clone();
        settled.sort_unstable();
        assert_eq!(settled, all);
    }
}
