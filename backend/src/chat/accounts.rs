//! What a request may use at most: reserved, and written down, before any provider is called.

use std::{sync::Arc, time::Duration};

use goblin_shared::{
    api::Api,
    catalogue::{Catalogue, Target},
    request_id::RequestId,
};
use tokio::time::Instant;

use super::{
    account::{Account, Opened, Reserved},
    cost,
    limit_policy::LimitPolicy,
    service::Usable,
};
use crate::{
    monitoring::metrics::{Metrics, RequestOutcome},
    ports::{
        Amounts, Clock, Ids, Ledger, LedgerEntry, LimitState, Limits, NotOpened, NotReserved, OpeningId, Principal,
        Reservation, StoreError, day,
    },
};

/// Longest name of a model that is written down, in bytes.
const MODEL_BYTES: usize = 256;

/// Most answers that are reserved for, whatever `n` says: no provider gives more, and sums stay within their bounds.
const MOST_CHOICES: u32 = 1_024;

/// What is counted of accounts, for operators.
pub(crate) trait Counts: Send + Sync {
    /// A request is settled.
    fn request(&self, outcome: RequestOutcome);

    /// A request that `target` was called for last has cost so many billionths of a dollar.
    fn cost(&self, target: &Target, nano_usd: u64);

    /// A request was answered by `target`, and what that cost is not known.
    fn cost_unknown(&self, target: &Target);

    /// A turn is kept, the `number`th of its conversation.
    fn turn(&self, number: u64);
}

impl Counts for Metrics {
    fn request(&self, outcome: RequestOutcome) {
        self.llm_request(outcome);
    }

    fn cost(&self, target: &Target, nano_usd: u64) {
        Self::cost(self, target, nano_usd);
    }

    fn cost_unknown(&self, target: &Target) {
        Self::cost_unknown(self, target);
    }

    fn turn(&self, number: u64) {
        self.conversation_turn(number);
    }
}

/// What accounts are kept with.
pub(crate) struct Books {
    /// Where requests are written down; `None`: nowhere.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// Where use is counted against limits.
    pub(crate) limits: Arc<dyn Limits>,
    /// Who has which limits.
    pub(crate) policy: LimitPolicy,
    /// What models cost.
    pub(crate) catalogue: Catalogue,
    /// Tells when a request began.
    pub(crate) clock: Arc<dyn Clock>,
    /// Gives out ids of openings.
    pub(crate) ids: Arc<dyn Ids>,
}

/// Opens the accounts of requests.
#[derive(Clone)]
pub(crate) struct Accounts {
    /// `None`: nothing is written down, and nobody is limited.
    books: Option<Arc<Books>>,
    /// Counts what operators should know of.
    counts: Arc<dyn Counts>,
}

/// What a request says of what it may use.
#[derive(Clone)]
pub(crate) struct Bill<'a> {
    /// Its id.
    pub(crate) request_id: RequestId,
    /// Who asks.
    pub(crate) principal: Principal,
    /// What was called.
    pub(crate) api: Api,
    /// The answer is streamed.
    pub(crate) stream: bool,
    /// The model as it was asked for.
    pub(crate) model_asked: &'a str,
    /// The trace, 32 hexadecimal digits.
    pub(crate) trace_id: Option<String>,
    /// The conversation that it belongs to.
    pub(crate) conversation_id: Option<String>,
    /// How long the prompt is, about, in tokens.
    pub(crate) prompt_tokens: u64,
    /// Longest answer that is wanted, in tokens; `None`: as long as the model makes it.
    pub(crate) output_tokens: Option<u32>,
    /// How many answers are wanted.
    pub(crate) choices: u32,
    /// How it is to be processed, in the provider's own word.
    pub(crate) service_tier: Option<&'a str>,
    /// Who may answer.
    pub(crate) entries: &'a [Usable],
}

/// Why a request must not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAccounted {
    /// A limit would be passed.
    #[error("over the limit {} of the {}", .state.quota.as_str(), .state.level.as_str())]
    Over {
        /// Which, without what was refused.
        state: LimitState,
        /// How much of it the request may use at most.
        wanted: u64,
        /// When that was, in milliseconds since 1970.
        at_ms: u64,
    },
    /// Spending is limited, and the price of an entry of the plan is not known.
    #[error("the price of {0} is not known, and spending is limited")]
    PriceUnknown(Target),
    /// Spending is limited, and what the tier costs that is asked for is not known.
    #[error("the price of the service tier is not known, and spending is limited")]
    TierUnpriced,
    /// The id is in the ledger already.
    #[error("the request id is claimed already")]
    Claimed,
    /// It cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account of a request, and how its limits stand.
pub(crate) struct Accounted {
    /// Settles the request.
    pub(crate) account: Account,
    /// How each of its limits stands; none where it has none.
    pub(crate) limits: Vec<LimitState>,
    /// When the request began, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

impl Accounts {
    /// Keeps accounts.
    pub(crate) fn new(books: Books, counts: Arc<dyn Counts>) -> Self {
        Self { books: Some(Arc::new(books)), counts }
    }

    /// Keeps none: every request is answered, and nothing of it is written down.
    pub(crate) fn off(counts: Arc<dyn Counts>) -> Self {
        Self { books: None, counts }
    }

    /// Waits until limits know of everything that was settled, within `bound`; of how much they do not.
    pub(crate) async fn flush(&self, bound: Duration) -> usize {
        match &self.books {
            Some(books) => books.limits.flush(bound).await,
            None => 0,
        }
    }

    /// Reserves what the request may use, and writes it down. From then on it is settled exactly once, whatever happens
    /// to the account, or to this future.
    pub(crate) async fn open(&self, bill: Bill<'_>) -> Result<Accounted, NotAccounted> {
        let Some(books) = &self.books else {
            return Ok(Accounted { account: Account::unkept(self.counts.clone()), limits: Vec::new(), at_ms: 0 });
        };
        let (at_ms, begun) = (books.clock.unix_millis(), Instant::now());
        let claims = books.policy.claims(&bill.principal);
        let is_spend_limited = claims.iter().any(|(_, limits)| limits.limits_spend());
        if is_spend_limited && !cost::may_be_priced(bill.service_tier) {
            return Err(NotAccounted::TierUnpriced);
        }
        let amounts = books.most(&bill, day::of_millis(at_ms));
        let amounts = match amounts {
            Ok(amounts) => amounts,
            Err(target) if is_spend_limited => return Err(NotAccounted::PriceUnknown(target)),
            // As far as it is known: what is not will be told by the settlement.
            Err(_) => books.most_known(&bill, day::of_millis(at_ms)),
        };
        let opening = books.ids.opening_id();
        let reservation = Reservation { opening, at_ms, claims, amounts };
        // From here on, giving up puts back what was reserved.
        let mut reserved = Reserved::new(books.clone(), reservation);
        let limits = reserved.reserve().await.map_err(|error| match error {
            NotReserved::Over(state) => NotAccounted::Over { state, wanted: amounts.of(state.quota), at_ms },
            NotReserved::Store(error) => NotAccounted::Store(error),
        })?;
        if let Some(ledger) = &books.ledger {
            ledger.open(entry(&bill, opening, at_ms, amounts)).await.map_err(|error| match error {
                NotOpened::Claimed => NotAccounted::Claimed,
                NotOpened::Store(error) => NotAccounted::Store(error),
            })?;
        }
        let opened =
            Opened { reserved, request_id: bill.request_id, api: bill.api, prompt_tokens: bill.prompt_tokens, begun };
        Ok(Accounted { account: Account::open(opened, self.counts.clone()), limits, at_ms })
    }
}

impl Books {
    /// What a request may use at most, at the dearest entry; or the entry whose price is not known.
    fn most(&self, bill: &Bill<'_>, day: u32) -> Result<Amounts, Target> {
        let unpriced = bill.entries.iter().find(|entry| self.price(&entry.target, day).is_none());
        match unpriced {
            Some(entry) => Err(entry.target.clone()),
            None => Ok(self.most_known(bill, day)),
        }
    }

    /// The same, at the dearest of those entries whose price is known.
    fn most_known(&self, bill: &Bill<'_>, day: u32) -> Amounts {
        let mut most = Amounts { requests: 1, ..Amounts::default() };
        for Usable { target, .. } in bill.entries {
            let longest = self.catalogue.model(target).map_or(0, |model| model.max_output_tokens);
            let output = if bill.api == Api::Embeddings { 0 } else { bill.output_tokens.unwrap_or(longest) };
            let output = u64::from(output) * u64::from(bill.choices.clamp(1, MOST_CHOICES));
            most.tokens = most.tokens.max(bill.prompt_tokens.saturating_add(output));
            if let Some(price) = self.price(target, day) {
                most.nano_usd = most.nano_usd.max(cost::most(price, bill.prompt_tokens, output));
            }
        }
        most
    }

    /// What a model costs on a day, where that is known.
    pub(super) fn price(&self, target: &Target, day: u32) -> Option<&goblin_shared::catalogue::Price> {
        self.catalogue.model(target)?.price(day)
    }
}

fn entry(bill: &Bill<'_>, opening: OpeningId, started_ms: u64, reserved: Amounts) -> LedgerEntry {
    let asked = bill.model_asked;
    LedgerEntry {
        request_id: bill.request_id,
        opening,
        started_ms,
        api: bill.api,
        stream: bill.stream,
        owner: bill.principal.owner.clone(),
        key_id: bill.principal.key_id.clone(),
        model_asked: asked[..asked.floor_char_boundary(MODEL_BYTES)].to_owned(),
        trace_id: bill.trace_id.clone(),
        conversation_id: bill.conversation_id.clone(),
        reserved,
    }
}
