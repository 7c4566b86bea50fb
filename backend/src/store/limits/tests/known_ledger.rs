//! A ledger that says of everybody what a test wants.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::ports::{
    Ledger, LedgerEntry, NotOpened, Quota, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written,
};

/// Says what was charged; keeps nothing.
#[derive(Default)]
pub(crate) struct KnownLedger {
    charged: Mutex<HashMap<(Subject, Quota), u64>>,
}

impl KnownLedger {
    /// What it says of a subject from now on.
    pub(crate) fn charge(&self, subject: &Subject, quota: Quota, charged: u64) {
        let mut known = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((subject.clone(), quota), charged);
    }
}

#[async_trait]
impl Ledger for KnownLedger {
    async fn open(&self, _: LedgerEntry) -> Result<(), NotOpened> {
        panic!("limits open no rows")
    }

    fn settle(&self, _: Settlement) -> Written {
        panic!("limits settle no rows")
    }

    async fn charged(&self, subject: &Subject, quota: Quota, _: u64) -> Result<u64, StoreError> {
        let known = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(&(subject.clone(), quota)).copied().unwrap_or(0))
    }

    async fn usage(&self, _: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        panic!("limits ask for no usage")
    }

    async fn flush(&self, _: Duration) -> usize {
        0
    }
}
