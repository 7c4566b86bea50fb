//! What every request costs, written down before it may cost anything.

use async_trait::async_trait;
use goblin_shared::{api::Api, request_id::RequestId};
use tokio::sync::oneshot;

use super::{Amounts, NewTurn, Owner, StoreError, Subject};

/// The id of one try to begin a request: drawn anew by who begins it. Request ids come from outside, and come twice when an
/// edge tries again: what one try reserved and wrote is never settled by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OpeningId(pub(crate) [u8; 16]);

/// A request that may cost something from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    /// Its id; claimed once.
    pub(crate) request_id: RequestId,
    /// By which try; only that one may settle it.
    pub(crate) opening: OpeningId,
    /// When it began, in milliseconds since 1970: its day is the day of its price, its windows are those of its limits.
    pub(crate) started_ms: u64,
    /// What was called.
    pub(crate) api: Api,
    /// The answer is streamed.
    pub(crate) stream: bool,
    /// Who pays.
    pub(crate) owner: Owner,
    /// With which key, where there was one.
    pub(crate) key_id: Option<String>,
    /// The model as it was asked for, at most 256 bytes of it.
    pub(crate) model_asked: String,
    /// The trace, 32 hexadecimal digits.
    pub(crate) trace_id: Option<String>,
    /// The conversation that it belongs to.
    pub(crate) conversation_id: Option<String>,
    /// What it may use at most; what it is charged until it is settled.
    pub(crate) reserved: Amounts,
}

/// How a request of the ledger ended. A row whose program died in the midst of it is `interrupted`, which stores say
/// themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LedgerOutcome {
    /// It was answered completely.
    Completed,
    /// It was not, and not because of the client.
    Failed,
    /// The client left.
    Cancelled,
}

impl LedgerOutcome {
    /// As the ledger has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// Of the whole prompt, with what was cached.
    pub(crate) prompt: u64,
    /// Of the answer, with its reasoning.
    pub(crate) completion: u64,
    /// Of the prompt, from the provider's cache.
    pub(crate) cached: u64,
    /// Of the prompt, written to the provider's cache.
    pub(crate) cache_write: u64,
    /// Of the answer, reasoning.
    pub(crate) reasoning: u64,
    /// The provider did not say; they were estimated here.
    pub(crate) estimated: bool,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// Which.
    pub(crate) request_id: RequestId,
    /// The try that opened it; a row that another one opened is left alone.
    pub(crate) opening: OpeningId,
    /// How it ended.
    pub(crate) outcome: LedgerOutcome,
    /// Who was called last, as the catalogue names it; `None`: nobody was called.
    pub(crate) provider: Option<String>,
    /// The model that was called last, as the catalogue names it.
    pub(crate) model: Option<String>,
    /// Calls of providers.
    pub(crate) attempts: u32,
    /// Tokens of the answer, or of what there was of it.
    pub(crate) tokens: TokenCounts,
    /// Billionths of a dollar; `None`: the price is not known.
    pub(crate) cost_nano_usd: Option<u64>,
    /// What its limits are charged: the cost, or what was reserved where the cost is not known.
    pub(crate) charged: Amounts,
    /// From the beginning to the end, in microseconds.
    pub(crate) duration_us: u64,
    /// From the beginning to the first content, in microseconds.
    pub(crate) first_content_us: Option<u64>,
    /// Error code that the client was told.
    pub(crate) error_code: Option<&'static str>,
    /// What is to be kept of it in its conversation, in the same transaction; not if that is deleted by then.
    pub(crate) turn: Option<NewTurn>,
}

/// Why a request is not in the ledger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    /// Its id is there already.
    #[error("the request id is claimed already")]
    Claimed,
    /// It cannot be said.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Comes when a settlement is written. An error: not in time; it is still written as soon as the store takes it.
pub(crate) type Written = oneshot::Receiver<()>;

/// By what the use of a time is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UsageBy {
    /// API key.
    Key,
    /// User (within the tenant).
    User,
    /// Tenant.
    Tenant,
    /// Provider and model.
    Model,
    /// Day.
    Day,
}

/// Which use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageQuery {
    /// The first day, in days since 1970-01-01, in UTC.
    pub(crate) from_day: u32,
    /// The last day.
    pub(crate) to_day: u32,
    /// Added up by.
    pub(crate) by: UsageBy,
    /// One key's alone.
    pub(crate) key_id: Option<String>,
    /// One user's alone, of whatever tenant.
    pub(crate) user: Option<String>,
    /// One tenant's alone.
    pub(crate) tenant: Option<String>,
}

/// The settled use of one key, user, tenant, model or day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageRow {
    /// What it is added up by: the key's id (empty: without a key), `tenant/user` or `user`, the tenant (empty: none),
    /// `provider/model` (empty: nobody was called), or the day as `YYYY-MM-DD`.
    pub(crate) name: String,
    /// Requests that ended, by outcome.
    pub(crate) completed: u64,
    /// Likewise.
    pub(crate) failed: u64,
    /// Likewise.
    pub(crate) cancelled: u64,
    /// Likewise.
    pub(crate) interrupted: u64,
    /// Sums of tokens; `estimated`: some of them are.
    pub(crate) tokens: TokenCounts,
    /// Billionths of a dollar, as far as it is known.
    pub(crate) cost_nano_usd: u64,
    /// Requests whose cost is not known.
    pub(crate) cost_unknown: u64,
}

/// Where requests are written down.
#[async_trait]
pub(crate) trait Ledger: Send + Sync {
    /// Writes it down. When this returns, it survives the death of the program. A future that is dropped leaves a row
    /// that is settled as cancelled by itself, or none.
    async fn open(&self, entry: LedgerEntry) -> Result<(), NotOpened>;

    /// Settles what was opened; a request that is settled already is left alone. Returns at once; it is tried again by
    /// itself for as long as the store cannot be reached.
    fn settle(&self, settlement: Settlement) -> Written;

    /// What a subject was charged in the window of `quota` that holds `at_ms`, with what is reserved: settled and open
    /// requests that began in it.
    async fn charged(&self, subject: &Subject, quota: super::Quota, at_ms: u64) -> Result<u64, StoreError>;

    /// Use, added up; by name.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError>;

    /// Waits until everything that was settled is written, within `bound`; how much is not.
    async fn flush(&self, bound: std::time::Duration) -> usize;
}
