//! A ledger and limits that keep everything they are told, and fail as the test says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use goblin_shared::{
    catalogue::{Catalogue, Target},
    request_id::RequestId,
};

use super::{Accounts, Books, LimitPolicy, accounts::Counts};
use crate::monitoring::metrics::RequestOutcome;
use crate::ports::{
    Amounts, Clock, Ids, Ledger, LedgerEntry, LedgerOutcome, Level, LimitSet, LimitState, Limits, NotOpened,
    NotReserved, OpeningId, Quota, Reservation, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written,
};

/// 2026-11-25T02:36:10Z.
pub(crate) const NOW: u64 = 1_795_574_170_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// The limits cannot be asked.
    LimitsDown,
    /// They can, and say no.
    Over(Quota),
    /// They do not answer.
    LimitsHang,
    /// The ledger cannot be written.
    LedgerDown,
    /// It has the id already.
    Claimed,
    /// It does not answer.
    LedgerHangs,
}

/// One thing that was told, in the order of telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Reserved(Amounts),
    Opened(LedgerEntry),
    Used(Amounts),
    Settled(Settlement),
}

/// Keeps what it is told.
pub(crate) struct Recorder {
    trouble: Trouble,
    told: Mutex<Vec<Told>>,
    /// Openings that limits were asked for, and whether they were told what became of each.
    reserved: Mutex<BTreeMap<OpeningId, bool>>,
    /// Likewise of the ledger.
    opened: Mutex<BTreeMap<OpeningId, bool>>,
    openings: AtomicU8,
    requests: Mutex<Vec<RequestOutcome>>,
    cost: AtomicU64,
    unknown: AtomicUsize,
    now: AtomicU64,
}

/// What is settled was begun, by the same opening, and is settled once.
fn close(begun: &Mutex<BTreeMap<OpeningId, bool>>, opening: OpeningId) {
    let mut begun = begun.lock().unwrap();
    let is_settled = begun.get_mut(&opening).unwrap_or_else(|| panic!("{opening:?} was never begun"));
    assert!(!std::mem::replace(is_settled, true), "{opening:?} is settled twice");
}

impl Recorder {
    pub(crate) fn new(trouble: Trouble) -> Arc<Self> {
        Arc::new(Self {
            trouble,
            told: Mutex::default(),
            reserved: Mutex::default(),
            opened: Mutex::default(),
            openings: AtomicU8::new(1),
            requests: Mutex::default(),
            cost: AtomicU64::new(0),
            unknown: AtomicUsize::new(0),
            now: AtomicU64::new(NOW),
        })
    }

    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The one settlement, which must come last, after that of the limits and with the same charge.
    pub(crate) fn settlement(&self) -> Settlement {
        match &self.told()[..] {
            [Told::Reserved(_), Told::Opened(_), Told::Used(used), Told::Settled(settlement)] => {
                assert_eq!(*used, settlement.charged);
                let outcome = match settlement.outcome {
                    LedgerOutcome::Completed => RequestOutcome::Answered,
                    LedgerOutcome::Cancelled => RequestOutcome::Cancelled,
                    LedgerOutcome::Failed => RequestOutcome::Failed,
                };
                let counted = self.requests.lock().unwrap().clone();
                let is_failure = settlement.outcome == LedgerOutcome::Failed;
                assert!(matches!(counted[..], [counted] if counted == outcome || is_failure), "{counted:?}");
                assert_eq!(self.cost.load(Ordering::Relaxed), settlement.cost_nano_usd.unwrap_or_default());
                settlement.clone()
            }
            other => panic!("not settled exactly once: {other:#?}"),
        }
    }

    /// How many costs were counted as unknown.
    pub(crate) fn unknown(&self) -> usize {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Until so much was told.
    pub(crate) async fn until(&self, count: usize) {
        while self.told().len() < count {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn set_now(&self, unix_millis: u64) {
        self.now.store(unix_millis, Ordering::Relaxed);
    }
}

impl Ids for Recorder {
    fn request_id(&self) -> RequestId {
        RequestId::new(self.unix_millis(), &[0; 10])
    }

    fn opening_id(&self) -> OpeningId {
        OpeningId([self.openings.fetch_add(1, Ordering::Relaxed); 16])
    }

    fn conversation_id(&self) -> String {
        panic!("accounts make no conversations")
    }
}

#[async_trait]
impl Ledger for Recorder {
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        assert_eq!(self.opened.lock().unwrap().insert(entry.opening, false), None, "an opening is used again");
        match self.trouble {
            Trouble::LedgerDown => return Err(NotOpened::Store(StoreError::Full("x".into()))),
            Trouble::Claimed => return Err(NotOpened::Claimed),
            Trouble::LedgerHangs => std::future::pending().await,
            _ => {}
        }
        self.tell(Told::Opened(entry));
        Ok(())
    }

    fn settle(&self, settlement: Settlement) -> Written {
        close(&self.opened, settlement.opening);
        self.tell(Told::Settled(settlement));
        let (sender, written) = tokio::sync::oneshot::channel();
        sender.send(()).unwrap();
        written
    }

    async fn charged(&self, _: &Subject, _: Quota, _: u64) -> Result<u64, StoreError> {
        panic!("accounts do not ask for it")
    }

    async fn usage(&self, _: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        panic!("accounts do not ask for it")
    }

    async fn flush(&self, _: Duration) -> usize {
        0
    }
}

#[async_trait]
impl Limits for Recorder {
    async fn reserve(&self, reservation: &Reservation) -> Result<Vec<LimitState>, NotReserved> {
        assert_eq!(self.reserved.lock().unwrap().insert(reservation.opening, false), None, "an opening is used again");
        let state = |quota| LimitState { level: Level::User, quota, limit: 60, used: 60, resets_ms: NOW + 50_000 };
        match self.trouble {
            Trouble::LimitsDown => return Err(NotReserved::Store(StoreError::Unavailable("x".into()))),
            Trouble::Over(quota) => return Err(NotReserved::Over(state(quota))),
            Trouble::LimitsHang => std::future::pending().await,
            _ => {}
        }
        self.tell(Told::Reserved(reservation.amounts));
        Ok(vec![state(Quota::Requests)])
    }

    fn settle(&self, reservation: &Reservation, used: Amounts) {
        close(&self.reserved, reservation.opening);
        self.tell(Told::Used(used));
    }
}

impl Clock for Recorder {
    fn unix_millis(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

impl Counts for Recorder {
    fn request(&self, outcome: RequestOutcome) {
        self.requests.lock().unwrap().push(outcome);
    }

    fn cost(&self, _: &Target, nano_usd: u64) {
        self.cost.fetch_add(nano_usd, Ordering::Relaxed);
    }

    fn turn(&self, _: u64) {}

    fn cost_unknown(&self, _: &Target) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }
}

/// Accounts that are recorded. Users may spend; `None`: nobody is limited in that.
pub(crate) fn accounts(recorder: &Arc<Recorder>, catalogue: Catalogue, nano_usd_per_day: Option<u64>) -> Accounts {
    let user = LimitSet { requests_per_minute: Some(60), nano_usd_per_day, ..LimitSet::default() };
    let books = Books {
        ledger: Some(recorder.clone()),
        limits: recorder.clone(),
        policy: LimitPolicy { user, ..LimitPolicy::default() },
        catalogue,
        clock: recorder.clone(),
        ids: recorder.clone(),
    };
    Accounts::new(books, recorder.clone())
}
