//! A bounded queue in front of an exporter, which works on a thread of its own.
//!
//! The SDK's own batch processors count what they drop for themselves alone, and end with the first panic of an exporter.
//! Here whoever adds never waits and never fails: what finds no room, cannot be sent or breaks the exporter is counted.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::{
    drops::Drops,
    metrics::{DropReason, Signal},
};
use crate::config::BatchConfig;

/// Where batches go. Called by one thread at a time.
pub(super) trait Sink<T>: Send + 'static {
    /// Sends a batch, in bounded time.
    fn send(&mut self, batch: Vec<T>) -> OTelSdkResult;

    /// There will be no other.
    fn close(&mut self);
}

/// The queue. Dropped, its thread ends without sending what is left.
pub(super) struct Queue<T> {
    signal: Signal,
    settings: BatchConfig,
    drops: Drops,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// There is something for the thread to do.
    work: Condvar,
    /// The thread has caught up, or is gone.
    idle: Condvar,
}

struct State<T> {
    items: Vec<T>,
    /// A batch is on its way.
    is_sending: bool,
    /// Somebody waits for everything to be sent.
    flush: bool,
    stage: Stage,
}

/// How far the queue is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It takes items.
    Open,
    /// It takes none, and sends what it has.
    Closed,
    /// The thread has ended.
    Gone,
}

impl<T> State<T> {
    fn close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closed;
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics in there between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the thread. An error: the system gives none.
    pub(super) fn start(signal: Signal, settings: BatchConfig, drops: Drops, sink: impl Sink<T>) -> io::Result<Self> {
        let state = State { items: Vec::new(), is_sending: false, flush: false, stage: Stage::Open };
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new() });
        let worker = Worker { signal, settings, drops: drops.clone(), shared: shared.clone(), sink };
        thread::Builder::new().name(format!("otlp-{}", signal.as_str())).spawn(move || worker.run())?;
        Ok(Self { signal, settings, drops, shared })
    }

    /// Takes an item, or counts it as dropped where there is no room.
    pub(super) fn push(&self, item: T) {
        let mut state = self.shared.lock();
        if state.stage != Stage::Open || state.items.len() >= self.settings.queue {
            drop(state);
            self.drops.add(self.signal, DropReason::QueueFull, 1);
            return;
        }
        state.items.push(item);
        if state.items.len() == self.settings.batch {
            self.shared.work.notify_one();
        }
    }

    /// Waits until everything that was pushed is sent or lost, within `bound`.
    pub(super) fn flush(&self, bound: Duration) -> OTelSdkResult {
        let mut state = self.shared.lock();
        state.flush = true;
        self.shared.work.notify_one();
        let is_busy =
            |state: &mut State<T>| state.stage != Stage::Gone && (state.is_sending || !state.items.is_empty());
        let waited = self.shared.idle.wait_timeout_while(state, bound, is_busy);
        let timed_out = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        if timed_out { Err(OTelSdkError::Timeout(bound)) } else { Ok(()) }
    }

    /// The same; afterwards nothing is taken any more.
    pub(super) fn close(&self, bound: Duration) -> OTelSdkResult {
        let flushed = self.flush(bound);
        self.end();
        flushed
    }

    fn end(&self) {
        let mut state = self.shared.lock();
        state.close();
        let left = std::mem::take(&mut state.items);
        self.shared.work.notify_one();
        drop(state);
        if !left.is_empty() {
            self.drops.add(self.signal, DropReason::ExportFailed, left.len() as u64);
        }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.close();
        state.items = Vec::new();
        self.shared.work.notify_one();
    }
}

struct Worker<T, S> {
    signal: Signal,
    settings: BatchConfig,
    drops: Drops,
    shared: Arc<Shared<T>>,
    sink: S,
}

impl<T, S: Sink<T>> Worker<T, S> {
    fn run(mut self) {
        // What the exporter's libraries say of it is not told by the exporter again.
        let _guard = opentelemetry::Context::enter_telemetry_suppressed_scope();
        while let Some(batch) = self.next() {
            self.send(batch);
        }
        if catch_unwind(AssertUnwindSafe(|| self.sink.close())).is_err() {
            tracing::warn!(signal = self.signal.as_str(), "an exporter broke as it was closed");
        }
        self.shared.lock().stage = Stage::Gone;
        self.shared.idle.notify_all();
    }

    /// Waits for a full batch, for the end of the delay, or for somebody who waits. `None`: it is over.
    fn next(&mut self) -> Option<Vec<T>> {
        // Who adds does not wait for memory, and nothing that waits is moved.
        let mut next = Vec::with_capacity(self.settings.batch);
        let mut state = self.shared.lock();
        state.is_sending = false;
        let until = Instant::now() + self.settings.delay;
        loop {
            if state.items.is_empty() {
                state.flush = false;
                self.shared.idle.notify_all();
                if state.stage != Stage::Open {
                    return None;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            let is_due = left.is_zero() || state.flush || state.items.len() >= self.settings.batch;
            if is_due && !state.items.is_empty() {
                state.is_sending = true;
                if state.items.len() > self.settings.batch {
                    next.extend(state.items.drain(..self.settings.batch));
                    return Some(next);
                }
                return Some(std::mem::replace(&mut state.items, next));
            }
            let wait = if left.is_zero() { self.settings.delay } else { left };
            let waited = self.shared.work.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send(&mut self, batch: Vec<T>) {
        let count = batch.len() as u64;
        let signal = self.signal.as_str();
        match catch_unwind(AssertUnwindSafe(|| self.sink.send(batch))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.drops.add(self.signal, DropReason::ExportFailed, count);
                tracing::warn!(signal, items = count, cause = super::chain(&error), "telemetry could not be exported");
            }
            Err(_) => {
                self.drops.add(self.signal, DropReason::Panicked, count);
                tracing::error!(signal, items = count, "an exporter broke, and what it had is lost");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SETTINGS: BatchConfig = BatchConfig { queue: 8, batch: 4, delay: Duration::from_hours(1) };
    const LONG: Duration = Duration::from_secs(20);

    /// Does with each batch what the test says, once it says it.
    struct Told {
        orders: mpsc::Receiver<Order>,
        sent: mpsc::Sender<Vec<u32>>,
    }

    enum Order {
        Take,
        Fail,
        Panic,
    }

    impl Sink<u32> for Told {
        fn send(&mut self, batch: Vec<u32>) -> OTelSdkResult {
            self.sent.send(batch).unwrap();
            match self.orders.recv() {
                Ok(Order::Take) => Ok(()),
                Ok(Order::Panic) => panic!("as the test wants it"),
                Ok(Order::Fail) | Err(_) => Err(OTelSdkError::InternalFailure("as the test wants it".to_owned())),
            }
        }

        fn close(&mut self) {}
    }

    fn queue() -> (Queue<u32>, mpsc::Sender<Order>, mpsc::Receiver<Vec<u32>>, Drops) {
        let (order, orders) = mpsc::channel();
        let (sent, batches) = mpsc::channel();
        let drops = Drops::default();
        let queue = Queue::start(Signal::Traces, SETTINGS, drops.clone(), Told { orders, sent }).unwrap();
        (queue, order, batches, drops)
    }

    fn counted(drops: &Drops) -> Vec<(&'static str, u64)> {
        drops.all().map(|(_, reason, items)| (reason.as_str(), items)).collect()
    }

    #[test]
    fn a_full_batch_goes_at_once_and_what_finds_no_room_is_counted() {
        let (queue, order, batches, drops) = queue();
        (0..4).for_each(|item| queue.push(item));
        assert_eq!(batches.recv_timeout(LONG).unwrap(), [0, 1, 2, 3]);
        // The exporter is slow: as much waits as there is room for.
        (4..20).for_each(|item| queue.push(item));
        assert_eq!(counted(&drops), [("queue_full", 8)]);
        (0..3).for_each(|_| order.send(Order::Take).unwrap());
        queue.flush(LONG).unwrap();
        assert_eq!(batches.iter().take(2).collect::<Vec<_>>(), [vec![4, 5, 6, 7], vec![8, 9, 10, 11]]);
        assert_eq!(counted(&drops), [("queue_full", 8)]);
    }

    #[test]
    fn failures_and_panics_are_counted_and_the_next_batch_goes_all_the_same() {
        let (queue, order, batches, drops) = queue();
        for it in [Order::Fail, Order::Panic, Order::Take] {
            order.send(it).unwrap();
        }
        for item in 0..3 {
            queue.push(item);
            queue.flush(LONG).unwrap();
        }
        assert_eq!(batches.iter().take(3).collect::<Vec<_>>(), [[0], [1], [2]]);
        assert_eq!(counted(&drops), [("export_failed", 1), ("panicked", 1)]);
    }

    #[test]
    fn closing_waits_no_longer_than_it_may_and_counts_what_is_left() {
        let (queue, order, batches, drops) = queue();
        (0..6).for_each(|item| queue.push(item));
        assert_eq!(batches.recv_timeout(LONG).unwrap().len(), 4);
        assert!(queue.close(Duration::from_millis(20)).is_err());
        queue.push(7);
        assert_eq!(counted(&drops), [("queue_full", 1), ("export_failed", 2)]);
        drop(order);
    }

    #[test]
    fn nothing_waits_longer_than_the_delay() {
        let (sent, batches) = mpsc::channel();
        let (order, orders) = mpsc::channel();
        order.send(Order::Take).unwrap();
        let settings = BatchConfig { delay: Duration::from_millis(10), ..SETTINGS };
        let queue = Queue::start(Signal::Logs, settings, Drops::default(), Told { orders, sent }).unwrap();
        queue.push(1);
        assert_eq!(batches.recv_timeout(LONG).unwrap(), [1]);
    }
}
