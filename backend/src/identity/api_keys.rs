//! Whether an API key counts, and what it may do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use goblin_shared::api_key::{ApiKey, InvalidApiKey, IssuerSecret};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;

use crate::ports::{Clock, KeyRecord, Keys, Principal, SecretHash, StoreError};

/// Keys that are remembered at most; of more than that the store is asked each time somebody new comes.
const REMEMBERED: usize = 10_000;

/// Why a key does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRejection {
    /// It has not the form of a key.
    #[error("it does not have the form of an API key")]
    Malformed,
    /// Its tag is of another issuer.
    #[error("it was not issued here")]
    Forged,
    /// There is no key with this id and secret. Which of the two is wrong stays untold.
    #[error("there is no key with this id and secret")]
    Unknown,
    /// It was the key before its last rotation, and its time is over.
    #[error("it was replaced at its rotation")]
    Replaced,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Somebody ended it.
    #[error("it is revoked")]
    Revoked,
    /// Nothing is kept here, and so no keys.
    #[error("no keys are kept here")]
    NotKept,
}

/// Why it is not known whose a key is.
#[derive(Debug)]
pub(super) enum KeyDenied {
    /// It does not count.
    Rejected(KeyRejection),
    /// It cannot be said.
    Store(StoreError),
}

/// SHA-256 of a key's secret, which is how it is kept.
pub(super) fn hash(key: &ApiKey) -> SecretHash {
    Sha256::digest(key.secret()).into()
}

/// The API keys there are.
pub(crate) struct ApiKeys {
    store: Option<Arc<dyn Keys>>,
    issuers: Vec<IssuerSecret>,
    believed_for: Duration,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Keys, and when each was asked for.
    keys: HashMap<String, (Arc<KeyRecord>, Instant)>,
    /// How often anything was forgotten on purpose. An answer to a question from before that may be of before it too.
    changes: u64,
}

/// Which of a key's secrets somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// The one that counts, or the previous one as long as that counts too.
    Counts,
    /// The previous one, which counts no more.
    Over,
    /// None.
    Neither,
}

impl ApiKeys {
    /// Keys of these issuers that `store` keeps; `None`: there are none. One that was found is believed for a while without
    /// asking again.
    pub(crate) fn new(
        store: Option<Arc<dyn Keys>>,
        issuers: Vec<IssuerSecret>,
        believed_for: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, issuers, believed_for, clock, memory: Mutex::default() }
    }

    /// Whose a key is.
    pub(super) async fn check(&self, text: &str) -> Result<Principal, KeyDenied> {
        let rejected = |rejection| Err(KeyDenied::Rejected(rejection));
        let Some(store) = &self.store else { return rejected(KeyRejection::NotKept) };
        let key = match ApiKey::check(text, &self.issuers) {
            Ok(key) => key,
            Err(InvalidApiKey::Malformed) => return rejected(KeyRejection::Malformed),
            Err(InvalidApiKey::Forged) => return rejected(KeyRejection::Forged),
        };
        let (now_ms, hash) = (self.clock.unix_millis(), hash(&key));
        if let Some(record) = self.remembered(key.id())
            && fit(Some(&record), &hash, now_ms) == Fit::Counts
        {
            return judge(&record, now_ms);
        }
        // Nothing is remembered, or it does not fit: the store is asked, be the id or the secret wrong, and both take the
        // same way. That also lets a key in at once that another instance has rotated.
        let (asked, changes) = (Instant::now(), self.memory().changes);
        let found = store.find(key.id()).await.map_err(KeyDenied::Store)?.map(Arc::new);
        let fit = fit(found.as_deref(), &hash, now_ms);
        match (found, fit) {
            (Some(record), Fit::Counts) => {
                self.remember(&record, asked, changes);
                judge(&record, now_ms)
            }
            (Some(_), Fit::Over) => rejected(KeyRejection::Replaced),
            _ => rejected(KeyRejection::Unknown),
        }
    }

    /// Asks anew from now on, because the key was changed.
    pub(crate) fn forget(&self, id: &str) {
        let mut memory = self.memory();
        memory.keys.remove(id);
        memory.changes += 1;
    }

    fn remembered(&self, id: &str) -> Option<Arc<KeyRecord>> {
        let memory = self.memory();
        memory.keys.get(id).filter(|(_, asked)| asked.elapsed() < self.believed_for).map(|(record, _)| record.clone())
    }

    /// Unless something was changed since it was asked for.
    fn remember(&self, record: &Arc<KeyRecord>, asked: Instant, changes: u64) {
        let mut memory = self.memory();
        if self.believed_for.is_zero() || memory.changes != changes {
            return;
        }
        let keys = &mut memory.keys;
        if keys.len() >= REMEMBERED && !keys.contains_key(&record.id) {
            keys.retain(|_, (_, asked)| asked.elapsed() < self.believed_for);
        }
        if keys.len() < REMEMBERED || keys.contains_key(&record.id) {
            keys.insert(record.id.clone(), (record.clone(), asked));
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing in here panics between two changes.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares a secret with those of a key in time that does not depend on them, nor on whether there is the key.
fn fit(record: Option<&KeyRecord>, hash: &SecretHash, now_ms: u64) -> Fit {
    // Nobody knows a secret whose hash is this.
    const NOBODYS: SecretHash = [0; 32];
    let current = record.map_or(&NOBODYS, |record| &record.secret_hash);
    let (previous, until) = record.and_then(|record| record.previous).unwrap_or((NOBODYS, 0));
    let is_previous = previous.ct_eq(hash);
    let counts = current.ct_eq(hash) | (is_previous & Choice::from(u8::from(now_ms < until)));
    match (bool::from(counts), bool::from(is_previous)) {
        (true, _) => Fit::Counts,
        (false, true) => Fit::Over,
        (false, false) => Fit::Neither,
    }
}

/// Whether a key counts whose secret was right.
fn judge(record: &KeyRecord, now_ms: u64) -> Result<Principal, KeyDenied> {
    if record.revoked_ms.is_some() {
        return Err(KeyDenied::Rejected(KeyRejection::Revoked));
    }
    if record.expires_ms.is_some_and(|expires| expires <= now_ms) {
        return Err(KeyDenied::Rejected(KeyRejection::Expired));
    }
    Ok(Principal {
        owner: record.owner.clone(),
        key_id: Some(record.id.clone()),
        scopes: record.scopes,
        limits: record.limits,
        anonymous: false,
    })
}
