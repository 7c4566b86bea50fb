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
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    monitoring::{self, tracing::Origin},
    ports::{Amounts, Reservation, StoreError},
};

/// As many are on the way at once.
const AT_ONCE: usize = 64;

/// So often a settlement is refused, others being taken in between, before it is given up: its counters then keep what was
/// reserved.
const REFUSALS: u32 = 5;

/// Pauses between two tries of one settlement.
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
    /// Whose it is.
    origin: Origin,
    used: Amounts,
    /// Before its next try.
    pause: Duration,
    /// How often the server refused it while it took others.
    refusals: u32,
    /// How many others were taken when it was tried last.
    taken: u64,
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
        let all = waiting.clone();
        tokio::spawn(async move {
            let tidying = tidy_up(server.as_ref());
            tokio::select! {
                () = Carrier::new(server.as_ref(), &all).carry_out(settlements) => {}
                () = tidying => {}
            }
        });
        Self { queue, waiting }
    }

    /// Takes one. Returns at once.
    pub(super) fn settle(&self, reservation: &Reservation, used: Amounts) {
        if reservation.claims.is_empty() {
            return;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        // It is there as long as this is.
        let reservation = reservation.clone();
        let origin = Origin::current();
        let _ = self.queue.send(Waiting { reservation, origin, used, pause: FIRST_PAUSE, refusals: 0, taken: 0 });
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

async fn tidy_up(server: &impl Settle) {
    let mut tidy = tokio::time::interval(TIDY);
    tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tidy.tick().await;
        if let Err(error) = server.tidy_up().await {
            let cause = monitoring::chain(&error);
            tracing::warn!(cause, "old counters could not be removed");
        }
    }
}

/// Each settlement is tried by itself: none waits for what becomes of another, but for its turn.
struct Carrier<'a, S> {
    server: &'a S,
    waiting: &'a AtomicUsize,
    /// Not tried yet.
    new: VecDeque<Waiting>,
    /// To be tried again, each at its time, in this order.
    again: VecDeque<(Instant, Waiting)>,
    /// How many the server took.
    taken: u64,
}

impl<'a, S: Settle> Carrier<'a, S> {
    fn new(server: &'a S, waiting: &'a AtomicUsize) -> Self {
        Self { server, waiting, new: VecDeque::new(), again: VecDeque::new(), taken: 0 }
    }

    async fn carry_out(mut self, mut queue: mpsc::UnboundedReceiver<Waiting>) {
        let mut tried = FuturesUnordered::new();
        let mut received = Vec::with_capacity(AT_ONCE);
        loop {
            while tried.len() < AT_ONCE
                && let Some(settlement) = self.next()
            {
                let server = self.server;
                tried.push(async move {
                    let result = server.settle_now(&settlement.reservation, settlement.used).await;
                    (settlement, result)
                });
            }
            let next = self.again.front().map_or_else(Instant::now, |(at, _)| *at);
            tokio::select! {
                count = queue.recv_many(&mut received, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    let taken = self.taken;
                    self.new.extend(received.drain(..).map(|settlement| Waiting { taken, ..settlement }));
                }
                Some((settlement, result)) = tried.next() => self.tried(settlement, result),
                () = sleep_until(next), if tried.len() < AT_ONCE && !self.again.is_empty() => {}
            }
        }
    }

    /// Those that were never tried come first.
    fn next(&mut self) -> Option<Waiting> {
        self.new.pop_front().or_else(|| {
            let now = Instant::now();
            self.again.pop_front_if(|(at, _)| *at <= now).map(|(_, settlement)| settlement)
        })
    }

    fn tried(&mut self, mut settlement: Waiting, result: Result<(), StoreError>) {
        let Err(error) = result else {
            self.taken += 1;
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return;
        };
        let cause = monitoring::chain(&error);
        if matches!(error, StoreError::Refused(_) | StoreError::Corrupt(_)) {
            // Where nobody is taken, the server is at fault and not the settlement.
            settlement.refusals += u32::from(self.taken > settlement.taken);
            settlement.taken = self.taken;
            if settlement.refusals >= REFUSALS {
                settlement.origin.tell("settle", None, || {
                    tracing::error!(
                        cause,
                        "a settlement of limits is refused, and given up: what was reserved stays counted"
                    );
                });
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                return;
            }
        }
        if self.again.is_empty() {
            tracing::warn!(cause, "limits could not be settled; trying again");
        }
        let at = Instant::now() + settlement.pause;
        settlement.pause = (settlement.pause * 2).min(LONGEST_PAUSE);
        let place = self.again.partition_point(|(other, _)| *other <= at);
        self.again.insert(place, (at, settlement));
    }
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

    /// Takes every settlement but those of the first byte `refused`, does not answer `slow`, and takes none while it is
    /// away.
    #[derive(Default)]
    struct Server {
        away: AtomicUsize,
        refused: u8,
        slow: u8,
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
            if name == self.slow {
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Err(StoreError::Unavailable("slow".into()));
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
        settling.settle(&reservation(1), Amounts::default());
        for name in 2..=5 {
            assert_eq!(settling.waiting.load(Ordering::Relaxed), 1, "given up before {name}");
            settling.settle(&reservation(name), Amounts::default());
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(server.settled.lock().unwrap().last(), Some(&name));
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        settling.settle(&reservation(6), Amounts::default());
        assert_eq!(settling.flush(Duration::from_mins(1)).await, 0);
        assert_eq!(*server.settled.lock().unwrap(), [2, 3, 4, 5, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn none_is_given_up_because_the_server_refuses_everybody() {
        let server = Arc::new(Server { refused: 1, ..Server::default() });
        let settling = Settling::start(server.clone());
        for _ in 0..3 {
            settling.settle(&reservation(1), Amounts::default());
        }
        assert_eq!(settling.flush(Duration::from_mins(10)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_answered_holds_no_other_up() {
        let server = Arc::new(Server { slow: 1, ..Server::default() });
        let settling = Settling::start(server.clone());
        for name in 1..=200 {
            settling.settle(&reservation(name), Amounts::default());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*server.settled.lock().unwrap(), (2..=200).collect::<Vec<_>>());
        assert_eq!(settling.flush(Duration::from_mins(1)).await, 1);
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
