//! How many calls of a provider run at once, and how many wait for their turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// The bounds of one provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneSettings {
    /// Calls at once, streams until their end.
    pub(crate) max_concurrency: usize,
    /// Calls that wait for one of those to end.
    pub(crate) max_queue: usize,
    /// How long they wait at most.
    pub(crate) queue_timeout: Duration,
}

/// The way to one provider.
#[derive(Debug)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    settings: LaneSettings,
}

/// A call's place; dropped, it is the next one's.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// There is no place, and none became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Lane {
    pub(super) fn new(settings: LaneSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.max_concurrency.min(Semaphore::MAX_PERMITS)));
        Self { places, waiting: AtomicUsize::new(0), settings }
    }

    /// Whether a call would find a place, or one to wait in.
    pub(super) fn has_room(&self) -> bool {
        self.places.available_permits() > 0 || self.waiting.load(Ordering::Relaxed) < self.settings.max_queue
    }

    /// Takes a place, in the order of asking. Waits for one no longer than its bounds and `deadline` allow.
    pub(super) async fn enter(&self, deadline: Instant) -> Result<Place, Full> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.settings.max_queue {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        let _waiting = Waiting(&self.waiting);
        let deadline = deadline.min(Instant::now() + self.settings.queue_timeout);
        match timeout_at(deadline, self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}

/// One that waits, counted for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(max_concurrency: usize, max_queue: usize) -> Lane {
        Lane::new(LaneSettings { max_concurrency, max_queue, queue_timeout: Duration::from_secs(1) })
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[tokio::test(start_paused = true)]
    async fn places_and_queue_are_bounded() {
        let lane = Arc::new(lane(2, 1));
        let first = lane.enter(later()).await.unwrap();
        let _second = lane.enter(later()).await.unwrap();
        let queued = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter(later()).await }
        });
        while lane.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lane.enter(later()).await.unwrap_err(), Full, "the queue is full");
        drop(first);
        let _third = queued.await.unwrap().unwrap();
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);

        let start = Instant::now();
        assert_eq!(lane.enter(later()).await.unwrap_err(), Full, "nobody leaves");
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(lane.enter(start).await.unwrap_err(), Full, "no time is left");
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_leaves_the_queue() {
        let lane = Arc::new(lane(1, 1));
        let first = lane.enter(later()).await.unwrap();
        let waiting = tokio::spawn({
            let lane = lane.clone();
            async move { lane.enter(later()).await.map(drop) }
        });
        while lane.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        let _ = waiting.await;
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
        drop(first);
        assert!(lane.enter(later()).await.is_ok());
    }
}
