//! How much may be asked, and what of it is used.
//!
//! Windows are those of the calendar in UTC: the minute, the day, the month in which a request begins. What is reserved
//! in a window is settled in that window, however much later.

use async_trait::async_trait;

use super::{OpeningId, StoreError};

/// What is counted, over which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Quota {
    /// Requests in a minute.
    Requests,
    /// Tokens in a minute, prompt and answer together.
    Tokens,
    /// Billionths of a dollar in a day.
    DailySpend,
    /// Billionths of a dollar in a month.
    MonthlySpend,
}

impl Quota {
    /// All there are.
    pub(crate) const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::DailySpend, Self::MonthlySpend];

    /// As clients and operators read it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
            Self::DailySpend => "usd_per_day",
            Self::MonthlySpend => "usd_per_month",
        }
    }

    /// Whether it is of money.
    pub(crate) const fn is_spend(self) -> bool {
        matches!(self, Self::DailySpend | Self::MonthlySpend)
    }
}

/// The limits of somebody; `None`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitSet {
    /// Requests in a minute.
    pub(crate) requests_per_minute: Option<u64>,
    /// Tokens in a minute.
    pub(crate) tokens_per_minute: Option<u64>,
    /// Billionths of a dollar in a day.
    pub(crate) nano_usd_per_day: Option<u64>,
    /// Billionths of a dollar in a month.
    pub(crate) nano_usd_per_month: Option<u64>,
}

impl LimitSet {
    /// The limit on one quota.
    pub(crate) const fn of(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Requests => self.requests_per_minute,
            Quota::Tokens => self.tokens_per_minute,
            Quota::DailySpend => self.nano_usd_per_day,
            Quota::MonthlySpend => self.nano_usd_per_month,
        }
    }

    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether money is.
    pub(crate) const fn limits_spend(&self) -> bool {
        self.nano_usd_per_day.is_some() || self.nano_usd_per_month.is_some()
    }
}

/// Whose limits these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Level {
    /// An API key's.
    Key,
    /// A user's, over all his keys.
    User,
    /// A tenant's, over all its users.
    Tenant,
}

impl Level {
    /// As clients and operators read it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Tenant => "tenant",
        }
    }
}

/// Somebody whose use is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// An API key, by its id.
    Key(String),
    /// A user.
    User(super::Owner),
    /// A tenant.
    Tenant(String),
}

impl Subject {
    /// Whose it is.
    pub(crate) const fn level(&self) -> Level {
        match self {
            Self::Key(_) => Level::Key,
            Self::User(_) => Level::User,
            Self::Tenant(_) => Level::Tenant,
        }
    }
}

/// What a request uses, or may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Requests: 1.
    pub(crate) requests: u64,
    /// Prompt and answer together.
    pub(crate) tokens: u64,
    /// Billionths of a dollar.
    pub(crate) nano_usd: u64,
}

impl Amounts {
    /// What counts for one quota.
    pub(crate) const fn of(&self, quota: Quota) -> u64 {
        match quota {
            Quota::Requests => self.requests,
            Quota::Tokens => self.tokens,
            Quota::DailySpend | Quota::MonthlySpend => self.nano_usd,
        }
    }
}

/// A wish to use something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// For which try to begin a request; of each there is one.
    pub(crate) opening: OpeningId,
    /// When the request began, in milliseconds since 1970: says which windows it falls into.
    pub(crate) at_ms: u64,
    /// Who has limits, and which. Those without any are not named.
    pub(crate) claims: Vec<(Subject, LimitSet)>,
    /// At most so much.
    pub(crate) amounts: Amounts,
}

/// How one limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitState {
    /// Whose.
    pub(crate) level: Level,
    /// On what.
    pub(crate) quota: Quota,
    /// How much may be used in the window.
    pub(crate) limit: u64,
    /// How much is, with what is reserved; after a refusal without what was refused.
    pub(crate) used: u64,
    /// When the window ends, in milliseconds since 1970.
    pub(crate) resets_ms: u64,
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReserved {
    /// A limit would be passed; of several the one that resets last.
    #[error("over the limit {} of the {}", .0.quota.as_str(), .0.level.as_str())]
    Over(LimitState),
    /// It cannot be said.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where use is counted against limits.
#[async_trait]
pub(crate) trait Limits: Send + Sync {
    /// Takes everything, or nothing when any limit would be passed. How each limit stands after it. A reservation whose
    /// outcome is not known (an error, a future that was dropped) is to be settled with nothing used.
    async fn reserve(&self, reservation: &Reservation) -> Result<Vec<LimitState>, NotReserved>;

    /// Puts what was really used in the place of what was reserved. Called once for each reservation; returns at once,
    /// and is tried again by itself for as long as the store cannot be reached.
    fn settle(&self, reservation: &Reservation, used: Amounts);

    /// Waits until everything that was settled is written, within `bound`; how much is not.
    async fn flush(&self, _bound: std::time::Duration) -> usize {
        0
    }
}
