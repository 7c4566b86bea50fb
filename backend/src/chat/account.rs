//! The account of one request: settled exactly once, with what was used.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use goblin_shared::{api::Api, error_body::ErrorCode, request_id::RequestId};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    accounts::{Books, Counts},
    conversation::{Completed, NotRecorded, Recorder, TurnDraft},
    cost::{self, Tier},
    run::PlanFailure,
    tally::{Tallied, Tally, Use},
};
use crate::monitoring::metrics::RequestOutcome;
use crate::ports::{
    Amounts, LedgerOutcome, LimitState, NotReserved, Reservation, Settlement, TokenCounts, Written, day,
};

/// How long a client waits for his turn to be kept, when the answer is complete.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// What was reserved, and puts it back when it is dropped without having been used.
pub(super) struct Reserved {
    books: Arc<Books>,
    reservation: Reservation,
    /// Limits may have taken it, and are to be told what became of it.
    taken: bool,
}

impl Reserved {
    /// Of nothing yet.
    pub(super) fn new(books: Arc<Books>, reservation: Reservation) -> Self {
        Self { books, reservation, taken: false }
    }

    /// Takes everything, or nothing. Where nobody is limited nothing is asked.
    pub(super) async fn reserve(&mut self) -> Result<Vec<LimitState>, NotReserved> {
        if self.reservation.claims.is_empty() {
            return Ok(Vec::new());
        }
        self.taken = true;
        let reserved = self.books.limits.reserve(&self.reservation).await;
        // Only here it is certain that nothing was taken.
        self.taken = !matches!(reserved, Err(NotReserved::Over(_)));
        reserved
    }

    fn settle(&mut self, used: Amounts) {
        if std::mem::take(&mut self.taken) {
            self.books.limits.settle(&self.reservation, used);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.settle(Amounts::default());
    }
}

/// What an account is opened with: the request is in the ledger.
pub(super) struct Opened {
    pub(super) reserved: Reserved,
    pub(super) request_id: RequestId,
    pub(super) api: Api,
    /// The estimate.
    pub(super) prompt_tokens: u64,
    pub(super) begun: Instant,
}

/// A request that is in the ledger. Dropped before it has ended, its client has left, or what a [`LastWord`] says.
pub(crate) struct Account {
    /// Until it is settled; never of a request that is not accounted for.
    kept: Option<Box<Kept>>,
    tally: Tally,
    last_word: LastWord,
    /// Until it is settled.
    counts: Option<Arc<dyn Counts>>,
    /// Collects the answer of a request whose turn is to be kept.
    recorder: Option<Recorder>,
    not_recorded: Option<NotRecorded>,
}

struct Kept {
    opened: Opened,
    draft: Option<TurnDraft>,
}

/// The error that the client is told where it is not the calls of providers that fail, but what is around them. Told
/// before the account is dropped; the first word counts.
#[derive(Clone, Default)]
pub(crate) struct LastWord(Arc<OnceLock<ErrorCode>>);

impl LastWord {
    /// The request fails with this error.
    pub(crate) fn tell(&self, code: ErrorCode) {
        let _ = self.0.set(code);
    }
}

impl Account {
    /// Of a request that nothing is kept of.
    pub(crate) fn unkept(counts: Arc<dyn Counts>) -> Self {
        Self::with(None, Tally::default(), counts)
    }

    pub(super) fn open(opened: Opened, counts: Arc<dyn Counts>) -> Self {
        let tally = Tally::new(opened.api, opened.begun);
        Self::with(Some(Box::new(Kept { opened, draft: None })), tally, counts)
    }

    fn with(kept: Option<Box<Kept>>, tally: Tally, counts: Arc<dyn Counts>) -> Self {
        let last_word = LastWord::default();
        Self { kept, tally, last_word, counts: Some(counts), recorder: None, not_recorded: None }
    }

    /// For calls to report to.
    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// For who may end the request from outside.
    pub(crate) fn last_word(&self) -> LastWord {
        self.last_word.clone()
    }

    /// The answer, as a recorder collects it, is to be kept as a turn.
    pub(crate) fn keep(&mut self, draft: TurnDraft, recorder: Recorder) {
        if let Some(kept) = &mut self.kept {
            kept.draft = Some(draft);
            self.recorder = Some(recorder);
        }
    }

    /// What collects the answer, where it is to be kept.
    pub(super) fn recorder(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_mut()
    }

    /// The answer is complete. Where it is to be kept, the client is told of its end only when it is: if that takes too
    /// long, or cannot be done, that is the request's failure, though the answer is there and paid.
    pub(super) async fn completed_and_kept(self) -> Result<(), PlanFailure> {
        let is_to_be_kept = self.recorder.is_some();
        let mut account = self;
        let counts = account.counts.clone();
        let draft = account.kept.as_ref().and_then(|kept| kept.draft.as_ref());
        let number = draft.map(|draft| draft.number);
        let written = account.settle(LedgerOutcome::Completed, None);
        if !is_to_be_kept {
            return Ok(());
        }
        if let Some(why) = account.not_recorded.take() {
            return Err(PlanFailure::NotKept(Box::new(why)));
        }
        match timeout(KEPT_WITHIN, written).await {
            Ok(Ok(())) => {
                if let Some((counts, number)) = counts.zip(number) {
                    counts.turn(number);
                }
                Ok(())
            }
            Ok(Err(lost)) => Err(PlanFailure::NotKept(Box::new(lost))),
            Err(late) => Err(PlanFailure::NotKept(Box::new(late))),
        }
    }

    /// The request failed, which the client is told by this code.
    pub(crate) fn failed(mut self, code: ErrorCode) -> Written {
        self.settle(LedgerOutcome::Failed, Some(code))
    }

    /// First the limits, then the ledger: what is counted anew in between can only be too much.
    fn settle(&mut self, outcome: LedgerOutcome, code: Option<ErrorCode>) -> Written {
        let Some(counts) = self.counts.take() else { return written() };
        counts.request(request_outcome(outcome, code));
        let settled = self.kept.take().zip(self.tally.so_far());
        let Some((Kept { mut opened, draft }, tallied)) = settled.map(|(kept, tallied)| (*kept, tallied)) else {
            return written();
        };
        let sum = opened.sum(&tallied);
        match (tallied.target(), sum.cost_nano_usd) {
            (Some(target), Some(cost)) => counts.cost(target, cost),
            (Some(target), None) => counts.cost_unknown(target),
            // Nobody was called.
            (None, _) => {}
        }
        let mut turn = None;
        if outcome == LedgerOutcome::Completed
            && let Some((draft, recorder)) = draft.zip(self.recorder.take())
        {
            let completed = Completed {
                at_ms: opened.reserved.books.clock.unix_millis(),
                model: tallied.target().map(ToString::to_string).unwrap_or_default(),
                prompt_tokens: sum.tokens.prompt,
                completion_tokens: sum.tokens.completion,
            };
            match draft.complete(recorder, completed) {
                Ok(made) => turn = Some(made),
                Err(why) => self.not_recorded = Some(why),
            }
        }
        let settlement = Settlement { outcome, turn, error_code: code.map(ErrorCode::as_str), ..sum };
        opened.reserved.settle(settlement.charged);
        let books = &opened.reserved.books;
        match &books.ledger {
            Some(ledger) => ledger.settle(settlement),
            None => written(),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        match self.last_word.0.get() {
            Some(code) => drop(self.settle(LedgerOutcome::Failed, Some(*code))),
            None if std::thread::panicking() => drop(self.settle(LedgerOutcome::Failed, Some(ErrorCode::Internal))),
            None => drop(self.settle(LedgerOutcome::Cancelled, None)),
        }
    }
}

impl Opened {
    /// What it came to, over all calls that are to be paid for. Charged is what they cost; where that is not known, what was
    /// reserved stays charged.
    fn sum(&self, tallied: &Tallied) -> Settlement {
        let Reserved { books, reservation, .. } = &self.reserved;
        let day = day::of_millis(reservation.at_ms);
        let (mut tokens, mut cost, mut is_unknown) = (TokenCounts::default(), 0_u64, false);
        // The least that the request may be charged, by what is not known.
        let mut least = Amounts::default();
        for (call, used) in tallied.uses(self.prompt_tokens) {
            let (Use::Known(counted) | Use::AtLeast(counted)) = used;
            let counted = counted.bounded();
            tokens.add(&counted);
            // What was told of a call is charged even where that is not all.
            let priced = cost::cost(books.price(&call.target, day), Tier::of(call.service_tier.as_deref()), &counted);
            cost = cost.saturating_add(priced.unwrap_or_default()).min(cost::MOST);
            let is_more = matches!(used, Use::AtLeast(_));
            if is_more {
                least.tokens = reservation.amounts.tokens;
            }
            if is_more || priced.is_none() {
                least.nano_usd = reservation.amounts.nano_usd;
                is_unknown = true;
            }
        }
        let (provider, model) = tallied.target().map(|target| (target.provider.clone(), target.model.clone())).unzip();
        Settlement {
            request_id: self.request_id,
            opening: reservation.opening,
            // Said by who settles.
            outcome: LedgerOutcome::Cancelled,
            error_code: None,
            turn: None,
            provider,
            model,
            attempts: tallied.attempts,
            tokens,
            cost_nano_usd: (!is_unknown).then_some(cost),
            charged: Amounts {
                requests: 1,
                tokens: (tokens.prompt + tokens.completion).max(least.tokens),
                nano_usd: cost.max(least.nano_usd),
            },
            duration_us: micros(self.begun.elapsed()),
            first_content_us: tallied.first_content.map(micros),
        }
    }
}

/// As operators count it. What could not be taken by anybody has the same codes as what its provider could not take.
fn request_outcome(outcome: LedgerOutcome, code: Option<ErrorCode>) -> RequestOutcome {
    match (outcome, code) {
        (LedgerOutcome::Completed, _) => RequestOutcome::Answered,
        (LedgerOutcome::Cancelled, _) => RequestOutcome::Cancelled,
        (_, Some(ErrorCode::NoProvider | ErrorCode::Overloaded | ErrorCode::ProviderOverloaded)) => {
            RequestOutcome::Unavailable
        }
        (_, Some(code)) if code.status() < 500 => RequestOutcome::Rejected,
        (LedgerOutcome::Failed, _) => RequestOutcome::Failed,
    }
}

impl TokenCounts {
    /// Together with those of another call.
    fn add(&mut self, other: &Self) {
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.cached += other.cached;
        self.cache_write += other.cache_write;
        self.reasoning += other.reasoning;
        self.estimated |= other.estimated;
    }

    /// No more than any answer has: what a provider says must not fill the sums of a store.
    fn bounded(self) -> Self {
        let most = |count: u64| count.min(1 << 40);
        Self {
            prompt: most(self.prompt),
            completion: most(self.completion),
            cached: most(self.cached),
            cache_write: most(self.cache_write),
            reasoning: most(self.reasoning),
            estimated: self.estimated,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Nothing is to be written, so that it is.
fn written() -> Written {
    let (sender, written) = oneshot::channel();
    let _ = sender.send(());
    written
}
