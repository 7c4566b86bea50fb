//! A ledger of which every step is known beforehand, under a clock that tests move.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::{Mutex, MutexGuard},
};

use goblin_shared::api::Api;

use super::*;
use crate::{
    ports::{NewTurn, Owner},
    store::tests::bench::OPENING,
};

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Commits,
    /// Nothing is done, and that is known.
    Full,
    /// Nothing is done, and that is not known.
    Lost,
    /// Everything is done, and that is not known.
    LostAfterwards,
    /// It is refused when it has this settlement.
    Refuses(u8),
    /// It is refused when it has this settlement with a turn.
    RefusesTurn(u8),
    /// It is refused when it has this settlement with a provider.
    RefusesProvider(u8),
    /// It is refused when it has this opening.
    RefusesOpening(u8),
    /// It takes so long, and then commits.
    Takes(Duration),
}

#[derive(Default)]
struct Scripted {
    fates: VecDeque<Fate>,
    /// Rows, who opened each, and how often it was settled, with what first.
    rows: BTreeMap<String, (OpeningId, Vec<LedgerOutcome>)>,
    /// Openings and settlements of each transaction that was tried.
    tried: Vec<(usize, usize)>,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Scripted>>);

impl Store {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Self {
        let store = Self::default();
        store.lock().fates.extend(fates);
        store
    }

    fn lock(&self) -> MutexGuard<'_, Scripted> {
        self.0.lock().unwrap()
    }

    fn settled(&self, number: u8) -> Option<Vec<LedgerOutcome>> {
        self.lock().rows.get(&id(number).to_string()).map(|(_, settled)| settled.clone())
    }
}

#[async_trait]
impl Batch for Store {
    async fn write(&mut self, opens: &[LedgerEntry], settlements: &[Settlement]) -> Result<Vec<Opened>, StoreError> {
        let fate = {
            let mut scripted = self.lock();
            scripted.tried.push((opens.len(), settlements.len()));
            scripted.fates.pop_front().unwrap_or(Fate::Commits)
        };
        if let Fate::Takes(time) = fate {
            tokio::time::sleep(time).await;
        }
        let lost = || StoreError::Unavailable("lost".into());
        match fate {
            Fate::Full => return Err(StoreError::Full("full".into())),
            Fate::Lost => return Err(lost()),
            _ => {}
        }
        let is_refused = match fate {
            Fate::Refuses(number) => settlements.iter().any(|it| it.request_id == id(number)),
            Fate::RefusesTurn(number) => settlements.iter().any(|it| it.request_id == id(number) && it.turn.is_some()),
            Fate::RefusesProvider(number) => {
                settlements.iter().any(|it| it.request_id == id(number) && it.provider.is_some())
            }
            Fate::RefusesOpening(number) => opens.iter().any(|it| it.request_id == id(number)),
            _ => false,
        };
        if is_refused {
            return Err(StoreError::Refused("refused".into()));
        }
        let mut scripted = self.lock();
        let opened = opens
            .iter()
            .map(|entry| match scripted.rows.entry(entry.request_id.to_string()) {
                Entry::Occupied(_) => Opened::Claimed,
                Entry::Vacant(vacant) => {
                    vacant.insert((entry.opening, Vec::new()));
                    Opened::New
                }
            })
            .collect();
        for settlement in settlements {
            if let Some((opening, row)) = scripted.rows.get_mut(&settlement.request_id.to_string())
                && *opening == settlement.opening
                && row.is_empty()
            {
                row.push(settlement.outcome);
            }
        }
        if fate == Fate::LostAfterwards { Err(lost()) } else { Ok(opened) }
    }
}

fn id(number: u8) -> RequestId {
    RequestId::new(0, &[number; 10])
}

fn entry(number: u8) -> LedgerEntry {
    LedgerEntry {
        request_id: id(number),
        opening: OPENING,
        started_ms: 0,
        api: Api::ChatCompletions,
        stream: false,
        owner: Owner { tenant: String::new(), user: "u".to_owned() },
        key_id: None,
        model_asked: String::new(),
        trace_id: None,
        conversation_id: None,
        reserved: Amounts::default(),
    }
}

fn completed(number: u8) -> Settlement {
    nothing_used(id(number), OPENING, LedgerOutcome::Completed)
}

const TIMEOUT: Duration = Duration::from_secs(2);

fn start(store: &Store) -> Writer {
    Writer::start(store.clone(), TIMEOUT)
}

async fn flushed(writer: &Writer) {
    assert_eq!(writer.flush(Duration::from_mins(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_rides_with_the_next_opening() {
    let store = Store::default();
    let writer = start(&store);
    writer.open(entry(1)).await.unwrap();
    let written = writer.settle(completed(1));
    writer.open(entry(2)).await.unwrap();
    written.await.unwrap();
    assert_eq!(store.lock().tried, [(1, 0), (1, 1)]);
    let begun = Instant::now();
    writer.settle(completed(2)).await.unwrap();
    assert_eq!(begun.elapsed(), LINGER, "alone it waits a moment, and no longer");
    assert_eq!(store.settled(2).unwrap(), [LedgerOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_one_transaction() {
    let store = Store::with([Fate::Takes(Duration::from_millis(10))]);
    let writer = start(&store);
    let opens = (0..20).map(|number| writer.open(entry(number)));
    for opened in futures_util::future::join_all(opens).await {
        opened.unwrap();
    }
    assert!(store.lock().tried.len() <= 2, "{:?}", store.lock().tried);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_claimed_once() {
    let writer = start(&Store::default());
    let (first, second) = tokio::join!(writer.open(entry(1)), writer.open(entry(1)));
    assert!(first.is_ok() != second.is_ok());
    assert!(matches!(writer.open(entry(1)).await, Err(NotOpened::Claimed)));
}

#[tokio::test(start_paused = true)]
async fn settlements_are_kept_until_the_store_takes_them() {
    let store = Store::with([Fate::Commits, Fate::Lost, Fate::Full, Fate::Lost]);
    let writer = start(&store);
    writer.open(entry(1)).await.unwrap();
    writer.settle(completed(1)).await.unwrap();
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Completed]);
    assert_eq!(store.lock().tried.len(), 5);
    flushed(&writer).await;
}

#[tokio::test(start_paused = true)]
async fn an_opening_is_told_at_once_what_went_wrong() {
    let store = Store::with([Fate::Full, Fate::Lost]);
    let writer = start(&store);
    assert!(matches!(writer.open(entry(1)).await, Err(NotOpened::Store(StoreError::Full(_)))));
    assert!(matches!(writer.open(entry(2)).await, Err(NotOpened::Store(StoreError::Unavailable(_)))));
    writer.open(entry(3)).await.unwrap();
    assert!(store.settled(1).is_none() && store.settled(2).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_row_of_which_nobody_knows_is_settled() {
    let store = Store::with([Fate::LostAfterwards]);
    let writer = start(&store);
    assert!(writer.open(entry(1)).await.is_err());
    // What the task settles by itself is nobody's to wait for.
    writer.open(entry(2)).await.unwrap();
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Failed]);
}

#[tokio::test(start_paused = true)]
async fn a_row_for_which_nobody_waits_any_more_is_settled() {
    let store = Store::with([Fate::Takes(Duration::from_secs(1))]);
    let writer = start(&store);
    let left = timeout(Duration::from_millis(500), writer.open(entry(1))).await;
    assert!(left.is_err());
    writer.open(entry(2)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Cancelled]);
    assert_eq!(store.settled(2).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_opener_left_before_he_heard_of_it_is_settled() {
    let store = Store::default();
    let writer = start(&store);
    let mut opening = Box::pin(writer.open(entry(1)));
    assert!(futures_util::poll!(&mut opening).is_pending());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.settled(1).unwrap(), [], "it is open, and he was told");
    drop(opening);
    writer.open(entry(2)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Cancelled]);
    assert_eq!(store.settled(2).unwrap(), [], "who heard of it settles it");
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_before_it_was_written_is_not_written() {
    let store = Store::with([Fate::Takes(Duration::from_secs(1))]);
    let writer = start(&store);
    let (first, given_up) = tokio::join!(writer.open(entry(1)), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        timeout(Duration::from_millis(1), writer.open(entry(2))).await
    });
    assert!(first.is_ok() && given_up.is_err());
    writer.open(entry(3)).await.unwrap();
    assert!(store.settled(2).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_opening_waits_no_longer_than_it_may() {
    let store = Store::with([Fate::Takes(Duration::from_mins(1))]);
    let writer = start(&store);
    let begun = Instant::now();
    assert!(matches!(writer.open(entry(1)).await, Err(NotOpened::Store(StoreError::Unavailable(_)))));
    assert_eq!(begun.elapsed(), TIMEOUT);
    assert_eq!(writer.flush(Duration::from_secs(1)).await, 0, "nobody settled anything");
}

#[tokio::test(start_paused = true)]
async fn flushing_tells_how_much_is_left() {
    let store = Store::with([Fate::Commits].into_iter().chain([Fate::Lost; 1_000]));
    let writer = start(&store);
    writer.open(entry(1)).await.unwrap();
    let _written = writer.settle(completed(1));
    assert_eq!(writer.flush(Duration::from_secs(3)).await, 1);
    store.lock().fates.clear();
    flushed(&writer).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_written_though_nobody_is_left() {
    let store = Store::with([Fate::Commits, Fate::Lost]);
    let writer = start(&store);
    writer.open(entry(1)).await.unwrap();
    drop(writer.settle(completed(1)));
    drop(writer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_refused_keeps_no_other_from_being_written() {
    let store = Store::with([Fate::Commits].into_iter().chain([Fate::Refuses(1); 1_000]));
    let writer = start(&store);
    writer.open(entry(1)).await.unwrap();
    let refused = writer.settle(completed(1));
    assert_eq!(writer.flush(Duration::from_secs(3)).await, 1, "where nothing is taken, nothing is given up");
    writer.open(entry(2)).await.unwrap();
    writer.settle(completed(2)).await.unwrap();
    assert!(refused.await.is_err());
    assert_eq!((store.settled(1).unwrap(), store.settled(2).unwrap()), (vec![], vec![LedgerOutcome::Completed]));
    flushed(&writer).await;
}

fn with_turn(number: u8) -> Settlement {
    let turn = NewTurn {
        conversation_id: "conv_1".to_owned(),
        owner: Owner { tenant: String::new(), user: "u".to_owned() },
        at_ms: 0,
        model: String::new(),
        messages: String::new(),
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    Settlement { turn: Some(turn), ..completed(number) }
}

#[tokio::test(start_paused = true)]
async fn of_a_settlement_whose_turn_is_refused_the_rest_is_written() {
    let store = Store::with([Fate::RefusesTurn(1); 1_000]);
    let writer = start(&store);
    for number in [1, 2] {
        writer.open(entry(number)).await.unwrap();
    }
    let refused = writer.settle(with_turn(1));
    writer.settle(completed(2)).await.unwrap();
    assert!(refused.await.is_err(), "the turn is not kept, and that is told");
    for number in [1, 2] {
        assert_eq!(store.settled(number).unwrap(), [LedgerOutcome::Completed]);
    }
    flushed(&writer).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_a_turn_that_may_be_left_out() {
    // Both together, each by itself, the one without its turn, and the whole again.
    let fates = [Fate::RefusesTurn(1), Fate::Commits, Fate::RefusesTurn(1), Fate::LostAfterwards, Fate::Commits];
    let store = Store::with([Fate::Commits, Fate::Commits].into_iter().chain(fates));
    let writer = start(&store);
    for number in [1, 2] {
        writer.open(entry(number)).await.unwrap();
    }
    let other = writer.settle(completed(2));
    let refused = writer.settle(with_turn(1));
    other.await.unwrap();
    assert!(refused.await.is_err(), "the turn is not kept, and that is told");
    flushed(&writer).await;
    assert_eq!(store.lock().fates.len(), 0, "{:?}", store.lock().tried);
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn of_a_settlement_that_is_refused_its_end_and_charge_are_written() {
    let store = Store::with([Fate::Commits, Fate::Commits].into_iter().chain([Fate::RefusesProvider(1); 4]));
    let writer = start(&store);
    for number in [1, 2] {
        writer.open(entry(number)).await.unwrap();
    }
    let refused = writer.settle(Settlement { provider: Some("\0".to_owned()), ..completed(1) });
    writer.settle(completed(2)).await.unwrap();
    assert!(refused.await.is_err(), "it is not written as it was told");
    flushed(&writer).await;
    assert_eq!(store.settled(1).unwrap(), [LedgerOutcome::Completed]);
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_is_refused_keeps_no_other_from_being_written() {
    let store = Store::with([Fate::RefusesOpening(2); 9]);
    let writer = start(&store);
    let (first, refused, third) = tokio::join!(writer.open(entry(1)), writer.open(entry(2)), writer.open(entry(3)));
    first.unwrap();
    assert!(matches!(refused, Err(NotOpened::Store(StoreError::Refused(_)))), "{refused:?}");
    third.unwrap();
    assert_eq!(store.settled(2), None);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_given_up_does_not_settle_the_next_one() {
    let store = Store::with([Fate::Lost]);
    let writer = start(&store);
    let lost = writer.open(entry(1)).await;
    assert!(matches!(lost, Err(NotOpened::Store(StoreError::Unavailable(_)))), "{lost:?}");
    writer.open(LedgerEntry { opening: OpeningId([9; 16]), ..entry(1) }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.settled(1).unwrap(), [], "who opened it anew still has it");
}
