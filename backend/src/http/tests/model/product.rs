//! One life of the product: all of it but its sockets, over a file that outlives it.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::super::*;
use crate::{
    chat::{Books, LimitPolicy, conversation::ConversationService},
    ports::{
        Ledger, LedgerEntry, LimitSet, NotOpened, Quota, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written,
    },
    store::{self, Place, ProcessLimits, Purpose, Settings, Stores},
};

/// Longest body that is taken.
const BODY: usize = 64 * 1024;

/// A ledger that dies with the product: what is settled afterwards, as the product's tasks go, never reaches the file.
pub(super) struct Mortal {
    ledger: Arc<dyn Ledger>,
    dead: AtomicBool,
}

#[async_trait]
impl Ledger for Mortal {
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened> {
        self.ledger.open(entry).await
    }

    fn settle(&self, settlement: Settlement) -> Written {
        if self.dead.load(Ordering::Relaxed) {
            return oneshot::channel().1;
        }
        self.ledger.settle(settlement)
    }

    async fn charged(&self, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, StoreError> {
        self.ledger.charged(subject, quota, at_ms).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.ledger.usage(query).await
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.ledger.flush(bound).await
    }
}

/// The product, from its start to its death.
pub(super) struct Product {
    pub(super) router: Router,
    pub(super) operations: Router,
    pub(super) stores: Stores,
    pub(super) office: KeyOffice,
    pub(super) provider: Arc<Scripted>,
    mortal: Arc<Mortal>,
}

/// The file of a folder.
pub(super) fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("goblin.db")
}

impl Product {
    /// Starts it on the file in `folder`.
    pub(super) async fn start(folder: &tempfile::TempDir, clock: &Arc<ByHand>, policy: LimitPolicy) -> Self {
        let settings = Settings {
            place: Place::Sqlite(file(folder)),
            connections: 2,
            timeout: Duration::from_secs(5),
            migrate: true,
            metrics: None,
        };
        let stores = store::open(&settings, Purpose::Serve).await.unwrap();
        let provider = Scripted::new("provider");
        let lane = LaneSettings { max_concurrency: 100, max_queue: 0, queue_timeout: Duration::from_secs(1) };
        let upstreams = BTreeMap::from([("openai".to_owned(), Upstream::new(provider.clone(), lane))]);
        let catalogue = Catalogue::parse(&super::tariff::catalogue()).unwrap();
        let keys = ApiKeys::new(Some(stores.keys.clone()), vec![issuer()], AUTH_CACHE, clock.clone());
        let office = || KeyOffice::new(stores.keys.clone(), Some(issuer()), Arc::new(SystemRandom), clock.clone());
        let ids = Arc::new(RandomIds::new(clock.clone()));
        let conversations = ConversationService::new(stores.conversations.clone(), clock.clone(), ids, false);
        // Breakers go by the machine's time, which is not the test's.
        let mortal = Arc::new(Mortal { ledger: stores.ledger.clone(), dead: AtomicBool::new(false) });
        let settings = ChatSettings { breakers: None, ..SETTINGS };
        let service = Arc::new(Service {
            chat: Arc::new(ChatService::new(catalogue.clone(), upstreams, settings, Arc::new(SystemRandom), unread())),
            identity: Arc::new(Identity::new(Mode::Required, keys, None, unread())),
            admin: Some(Admin {
                office: office(),
                ledger: stores.ledger.clone(),
                incidents: stores.incidents.clone(),
                business: stores.business.clone(),
                clock: clock.clone(),
            }),
            accounts: Accounts::new(
                Books {
                    ledger: Some(mortal.clone()),
                    limits: Arc::new(ProcessLimits::new(Some(stores.ledger.clone()))),
                    policy,
                    catalogue,
                    clock: clock.clone(),
                    ids: Arc::new(RandomIds::new(clock.clone())),
                },
                Arc::new(unread()),
            ),
            watch: Watch::of(unread()),
            conversations: Some(Arc::new(conversations)),
            store: Some(stores.health.clone()),
            places: Places::new(100),
            shutdown: Shutdown::default(),
            body_limit: BODY,
        });
        let acceptance = || {
            let replays = ReplayStore::new(10, 60);
            let gate = EdgeGate { required: false, keys: Vec::new(), skew_seconds: 60, replays, clock: clock.clone() };
            Arc::new(Acceptance {
                gate,
                ids: Arc::new(RandomIds::new(clock.clone())),
                metrics: unread(),
                formats: Formats::default(),
            })
        };
        Self {
            router: service_router(service.clone(), acceptance()),
            operations: operations_router(service, acceptance()),
            office: office(),
            stores,
            provider,
            mortal,
        }
    }

    /// From here on nothing that happens reaches the file.
    pub(super) fn die(&self) {
        self.mortal.dead.store(true, Ordering::Relaxed);
    }

    /// Everything that is settled is in the file.
    pub(super) async fn flush(&self) {
        assert_eq!(self.stores.ledger.flush(Duration::from_secs(10)).await, 0, "the file takes what is settled");
    }
}

/// Limits of [`crate::ports::Quota::ALL`], in its order.
pub(super) fn limit_set([requests, tokens, day, month]: [Option<u64>; 4]) -> LimitSet {
    LimitSet {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        nano_usd_per_day: day,
        nano_usd_per_month: month,
    }
}
