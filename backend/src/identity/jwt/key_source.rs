//! Keeps an issuer's keys, and fetches them again when they are old or do not hold the key that is wanted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::DecodingKey;
use tokio::time::Instant;

use super::{
    TokenDenied, TokenRejection,
    fetch::{FetchFailure, Fetcher},
    key_set::{KeySet, Wanted},
};

/// How old keys may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long they are believed without asking again.
    pub(super) believed_for: Duration,
    /// Keys are not fetched more often, whatever tokens come and whatever comes of it. Default 10 s.
    pub(super) at_most_every: Duration,
    /// How long they are used beyond their time while newer ones cannot be had. Default 1 h.
    pub(super) kept_for: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            believed_for: Duration::from_mins(10),
            at_most_every: Duration::from_secs(10),
            kept_for: Duration::from_hours(1),
        }
    }
}

/// The keys of one issuer.
pub(super) struct KeySource {
    fetcher: Fetcher,
    patience: Patience,
    known: Mutex<Known>,
    /// Held by the one that fetches.
    fetching: tokio::sync::Mutex<()>,
}

/// What was fetched.
#[derive(Clone, Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Instant)>,
    /// The last try, and what came of it.
    tried: Option<(Instant, Option<FetchFailure>)>,
}

impl KeySource {
    pub(super) fn new(fetcher: Fetcher, patience: Patience) -> Self {
        Self { fetcher, patience, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key that is wanted. That the issuer has no such key is said only by what it has just answered.
    pub(super) async fn find(self: &Arc<Self>, wanted: &Wanted<'_>) -> Result<Arc<DecodingKey>, TokenDenied> {
        if let Some(key) = self.fresh(wanted) {
            return Ok(key);
        }
        // A task of its own: a client that leaves does not break off what others wait for.
        let (source, seen) = (self.clone(), self.known().tried.map(|(at, _)| at));
        let refreshed = tokio::spawn(async move { source.refresh(seen).await }).await;
        let known = self.known();
        let failure = match (refreshed, known.tried) {
            (Err(_), _) => Some(FetchFailure::BrokenOff),
            (Ok(()), Some((_, failure))) => failure,
            (Ok(()), None) => None,
        };
        let usable = known.keys.filter(|(_, at)| at.elapsed() < self.patience.believed_for + self.patience.kept_for);
        match (usable.and_then(|(keys, _)| keys.find(wanted)), failure) {
            (Some(key), _) => Ok(key),
            (None, Some(failure)) => Err(TokenDenied::Keys(failure)),
            (None, None) => Err(TokenRejection::UnknownKey.into()),
        }
    }

    fn fresh(&self, wanted: &Wanted<'_>) -> Option<Arc<DecodingKey>> {
        let (keys, at) = self.known().keys?;
        (at.elapsed() < self.patience.believed_for).then(|| keys.find(wanted)).flatten()
    }

    /// Fetches, unless somebody else has since `seen`, or it is too soon.
    async fn refresh(&self, seen: Option<Instant>) {
        let _alone = self.fetching.lock().await;
        let known = self.known();
        let is_old = known.keys.as_ref().is_none_or(|(_, at)| at.elapsed() >= self.patience.believed_for);
        // Keys that are believed for less than that are fetched as often as they are old.
        let pause = if is_old && known.tried.as_ref().is_some_and(|(_, failure)| failure.is_none()) {
            self.patience.at_most_every.min(self.patience.believed_for)
        } else {
            self.patience.at_most_every
        };
        let tried = known.tried.map(|(at, _)| at);
        if tried != seen || tried.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        let fetched = self.fetcher.fetch().await;
        let now = Instant::now();
        let failure = match fetched {
            Ok(keys) => {
                self.change(|known| known.keys = Some((Arc::new(keys), now)));
                None
            }
            Err(failure) => {
                tracing::warn!(
                    cause = crate::monitoring::chain(&failure),
                    "the keys of tokens cannot be fetched; those that were fetched before are used for a while"
                );
                Some(failure)
            }
        };
        self.change(|known| known.tried = Some((now, failure)));
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
