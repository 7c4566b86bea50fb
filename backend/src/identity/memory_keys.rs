//! Keys that are kept in memory, for tests: a store that can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::ports::{KeyRecord, Keys, SecretHash, StoreError};

/// Keeps keys as long as it lives.
#[derive(Default)]
pub(crate) struct MemoryKeys {
    keys: Mutex<BTreeMap<String, KeyRecord>>,
    fails: AtomicBool,
    finds: AtomicU32,
    /// Answers to [`Keys::find`] that may be given; `None`: all at once.
    held: Mutex<Option<Arc<Semaphore>>>,
}

impl MemoryKeys {
    /// From now on everything fails, or nothing does.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// How often it was asked for a key.
    pub(crate) fn finds(&self) -> u32 {
        self.finds.load(Ordering::Relaxed)
    }

    /// From now on what was found is told only when the semaphore has a permit for it.
    pub(crate) fn hold(&self, until: Arc<Semaphore>) {
        *self.held.lock().unwrap() = Some(until);
    }

    /// What it keeps of a key.
    pub(crate) fn peek(&self, id: &str) -> Option<KeyRecord> {
        self.keys.lock().unwrap().get(id).cloned()
    }

    fn reached(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, KeyRecord>>, StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(std::io::Error::other("told to fail").into()));
        }
        Ok(self.keys.lock().unwrap())
    }
}

#[async_trait]
impl Keys for MemoryKeys {
    async fn find(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        let found = self.reached()?.get(id).cloned();
        let held = self.held.lock().unwrap().clone();
        if let Some(until) = held {
            until.acquire().await.expect("it is not closed").forget();
        }
        Ok(found)
    }

    async fn insert(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let replaced = self.reached()?.insert(key.id.clone(), key.clone());
        assert_eq!(replaced, None, "an id is given once");
        Ok(())
    }

    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<KeyRecord>, StoreError> {
        let keys = self.reached()?;
        let later = keys.values().filter(|key| after.is_none_or(|after| key.id.as_str() > after));
        Ok(later.take(usize::try_from(limit).unwrap()).cloned().collect())
    }

    async fn rotate(&self, id: &str, secret_hash: &SecretHash, overlap_until_ms: u64) -> Result<bool, StoreError> {
        let mut keys = self.reached()?;
        let Some(key) = keys.get_mut(id).filter(|key| key.revoked_ms.is_none()) else { return Ok(false) };
        key.previous = Some((key.secret_hash, overlap_until_ms));
        key.secret_hash = *secret_hash;
        Ok(true)
    }

    async fn revoke(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        let mut keys = self.reached()?;
        let Some(key) = keys.get_mut(id) else { return Ok(false) };
        key.revoked_ms.get_or_insert(now_ms);
        Ok(true)
    }
}
