//! How many requests are in flight at once: what comes beyond is refused at once, so that the others are still served.

use std::sync::Arc;

use goblin_shared::error_body::{ClientError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::errors::Failure;

/// The places of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

/// A request's place, to be kept until its answer has ended.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes one, or refuses.
    pub(super) fn take(&self) -> Result<Place, Failure> {
        self.0.clone().try_acquire_owned().map(|permit| Place { _permit: permit }).map_err(|_| {
            let message = "Too many requests are in flight here; try again shortly.";
            ClientError::new(ErrorCode::Overloaded, message).with_retry_after(1).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Places::new(1);
        let place = places.take().unwrap();
        let refused = places.take().unwrap_err();
        assert_eq!((refused.error.code, refused.error.retry_after), (ErrorCode::Overloaded, Some(1)));
        drop(place);
        assert!(places.take().is_ok());
    }
}
