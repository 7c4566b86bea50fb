//! A store under test, and rows to put there.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use goblin_shared::{api::Api, request_id::RequestId};

use crate::ports::{
    Amounts, Business, Conversations, Incidents, Keys, Ledger, LedgerEntry, LedgerOutcome, OpeningId, Owner,
    Settlement, SloCounts, TokenCounts, UsageBy, UsageQuery, UsageRow,
};

/// A Tuesday in 2023, at the beginning of a minute.
pub(crate) const NOW: u64 = 1_700_000_040_000;

/// Its day.
pub(crate) const TODAY: u32 = 19_675;

/// The try that opens every request of these tests which has but one.
pub(crate) const OPENING: OpeningId = OpeningId([7; 16]);

/// Far beyond what anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A store, empty at first.
pub(crate) struct Kept {
    /// Two ways to the same ledger: those of two instances where several may share it.
    pub(crate) ledgers: [Arc<dyn Ledger>; 2],
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) conversations: Arc<dyn Conversations>,
    pub(crate) incidents: Arc<dyn Incidents>,
    pub(crate) slo_counts: Arc<dyn SloCounts>,
    pub(crate) business: Arc<dyn Business>,
    /// What goes when the test is over.
    pub(crate) _place: Box<dyn Any + Send + Sync>,
}

impl Kept {
    /// What of today was used, added up.
    pub(super) async fn usage(&self, by: UsageBy) -> Vec<UsageRow> {
        self.ledgers[0].usage(&today(by)).await.unwrap()
    }
}

pub(crate) fn today(by: UsageBy) -> UsageQuery {
    UsageQuery { from_day: TODAY, to_day: TODAY, by, key_id: None, user: None, tenant: None }
}

pub(crate) fn owner(tenant: &str, user: &str) -> Owner {
    Owner { tenant: tenant.to_owned(), user: user.to_owned() }
}

/// A request of user `U` of tenant `T` with key `K`, for at most 100 tokens and 1000 billionths of a dollar. Each has
/// another id.
pub(crate) fn entry() -> LedgerEntry {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    LedgerEntry {
        request_id: RequestId::new(NOW, &random),
        opening: OPENING,
        started_ms: NOW,
        api: Api::ChatCompletions,
        stream: true,
        owner: owner("T", "U"),
        key_id: Some("K".to_owned()),
        model_asked: "gpt".to_owned(),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        conversation_id: None,
        reserved: Amounts { requests: 1, tokens: 100, nano_usd: 1_000 },
    }
}

/// It was answered, with 3 tokens for 20 billionths of a dollar.
pub(crate) fn settlement(request_id: RequestId) -> Settlement {
    Settlement {
        request_id,
        opening: OPENING,
        outcome: LedgerOutcome::Completed,
        provider: Some("demo".to_owned()),
        model: Some("echo".to_owned()),
        attempts: 1,
        tokens: TokenCounts { prompt: 2, completion: 1, cached: 1, cache_write: 0, reasoning: 0, estimated: false },
        cost_nano_usd: Some(20),
        charged: Amounts { requests: 1, tokens: 3, nano_usd: 20 },
        duration_us: 1_500,
        first_content_us: Some(900),
        error_code: None,
        turn: None,
    }
}
