//! Counting in one process: what is asked of the ledger, and when.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;
use crate::ports::{LedgerEntry, LimitSet, NotOpened, Owner, Settlement, UsageQuery, UsageRow, Written};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2023-11-14T22:14:00Z.
const NOW: u64 = 1_700_000_040_000;

/// Says that everybody used this much, once it may.
struct Book {
    charged: AtomicU64,
    asked: AtomicUsize,
    down: AtomicBool,
    may_answer: Semaphore,
}

impl Book {
    fn new(charged: u64, answers: usize) -> Arc<Self> {
        Arc::new(Self {
            charged: charged.into(),
            asked: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            may_answer: Semaphore::new(answers),
        })
    }
}

#[async_trait]
impl Ledger for Book {
    async fn open(&self, _: LedgerEntry) -> Result<(), NotOpened> {
        panic!("limits open no rows")
    }

    fn settle(&self, _: Settlement) -> Written {
        panic!("limits settle no rows")
    }

    async fn charged(&self, _: &Subject, _: Quota, _: u64) -> Result<u64, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.may_answer.acquire().await.unwrap().forget();
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("x".into()));
        }
        Ok(self.charged.load(Ordering::Relaxed))
    }

    async fn usage(&self, _: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        panic!("limits ask for no usage")
    }

    async fn flush(&self, _: Duration) -> usize {
        0
    }
}

fn tokens(limit: u64) -> LimitSet {
    LimitSet { tokens_per_minute: Some(limit), ..LimitSet::default() }
}

fn key(name: &str) -> Subject {
    Subject::Key(name.to_owned())
}

fn reservation(number: u64, at_ms: u64, claims: &[(Subject, LimitSet)], amount: u64) -> Reservation {
    let opening = OpeningId(u128::from(number).to_be_bytes());
    let amounts = Amounts { requests: 1, tokens: amount, nano_usd: amount };
    Reservation { opening, at_ms, claims: claims.to_vec(), amounts }
}

#[tokio::test]
async fn who_comes_first_asks_the_ledger_for_all_who_wait() {
    let book = Book::new(70, 0);
    let limits = ProcessLimits::new(Some(book.clone()));
    let claims = [(key("K"), tokens(100))];
    let callers = (0..8).map(|number| {
        let (limits, claims) = (&limits, &claims);
        async move { limits.reserve(&reservation(number, NOW, claims, 10)).await.is_ok() }
    });
    let (passed, ()) = tokio::join!(join_all(callers), async { book.may_answer.add_permits(1) });
    assert_eq!(passed.iter().filter(|passed| **passed).count(), 3);
    assert_eq!(book.asked.load(Ordering::Relaxed), 1);
    // The next minute begins anew, and what the ledger says of that.
    book.may_answer.add_permits(1);
    book.charged.store(95, Ordering::Relaxed);
    let refused = limits.reserve(&reservation(9, NOW + MINUTE, &claims, 10)).await.unwrap_err();
    let NotReserved::Over(state) = refused else { panic!("{refused}") };
    assert_eq!((state.used, state.limit, state.resets_ms), (95, 100, NOW + 2 * MINUTE));
}

#[tokio::test]
async fn who_gives_up_asking_leaves_it_to_the_next_one() {
    let book = Book::new(7, 0);
    let limits = ProcessLimits::new(Some(book.clone()));
    let claims = [(key("K"), tokens(100))];
    let left = reservation(1, NOW, &claims, 10);
    let asking = tokio::time::timeout(Duration::from_millis(10), limits.reserve(&left));
    assert!(asking.await.is_err());
    limits.settle(&left, Amounts::default());
    // An answer that is an error is none.
    book.down.store(true, Ordering::Relaxed);
    book.may_answer.add_permits(2);
    let failed = limits.reserve(&reservation(2, NOW, &claims, 10)).await.unwrap_err();
    assert!(matches!(failed, NotReserved::Store(_)));
    book.down.store(false, Ordering::Relaxed);
    let states = limits.reserve(&reservation(3, NOW, &claims, 10)).await.unwrap();
    assert_eq!((states[0].used, book.asked.load(Ordering::Relaxed)), (17, 3));
    assert!(limits.state().beginnings.is_empty());
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_what_is_open_is_not() {
    let limits = ProcessLimits::new(None);
    let both = LimitSet { nano_usd_per_day: Some(1_000), ..tokens(1_000) };
    let claims = |name: &str| [(key(name), both)];
    let open = reservation(1, NOW, &claims("open"), 10);
    limits.reserve(&open).await.unwrap();
    for number in 0..50 {
        let idle = reservation(100 + number, NOW, &claims(&number.to_string()), 10);
        limits.reserve(&idle).await.unwrap();
        limits.settle(&idle, idle.amounts);
    }
    assert_eq!(limits.state().windows.count(), 102);
    // The minute is over, the day is not.
    limits.reserve(&reservation(2, NOW + HOUR + 2 * MINUTE, &claims("late"), 10)).await.unwrap();
    assert_eq!(limits.state().windows.count(), 102 - 50 + 2);
    let states = limits.reserve(&reservation(4, NOW + HOUR, &claims("7"), 0)).await.unwrap();
    assert_eq!(states.iter().map(|state| state.used).collect::<Vec<_>>(), [0, 10]);
    limits.settle(&reservation(4, NOW + HOUR, &claims("7"), 0), Amounts::default());
    limits.reserve(&reservation(5, NOW + 2 * DAY, &claims("later"), 10)).await.unwrap();
    assert_eq!(limits.state().windows.count(), 4 + 2);
    assert_eq!(limits.state().open.len(), 3);
    // What is settled late is settled in its own window.
    limits.settle(&open, Amounts { requests: 1, tokens: 4, nano_usd: 3 });
    let states = limits.reserve(&reservation(3, NOW, &claims("open"), 0)).await.unwrap();
    assert_eq!(states.iter().map(|state| state.used).collect::<Vec<_>>(), [4, 3]);
}

/// A step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Reserve { subjects: [bool; 3], amount: u64 },
    Settle { which: prop::sample::Index, used: u64 },
    Restart,
    Clock(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moves = [-(DAY.cast_signed()), -90_000, 1, 20_000, 70_000, HOUR.cast_signed() * 3, DAY.cast_signed() * 20];
    let step = prop_oneof![
        6 => (any::<[bool; 3]>(), 0_u64..30).prop_map(|(subjects, amount)| Step::Reserve { subjects, amount }),
        5 => (any::<prop::sample::Index>(), 0_u64..40).prop_map(|(which, used)| Step::Settle { which, used }),
        1 => Just(Step::Restart),
        2 => prop::sample::select(moves.to_vec()).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 0..120)
}

/// A ledger that adds up what the model has, and so knows after a restart what the last process counted.
#[derive(Default)]
struct Sums(Mutex<HashMap<(Subject, Place), u64>>);

#[async_trait]
impl Ledger for Sums {
    async fn open(&self, _: LedgerEntry) -> Result<(), NotOpened> {
        panic!("limits open no rows")
    }

    fn settle(&self, _: Settlement) -> Written {
        panic!("limits settle no rows")
    }

    async fn charged(&self, subject: &Subject, quota: Quota, at_ms: u64) -> Result<u64, StoreError> {
        let key = (subject.clone(), Place::of(quota, at_ms));
        Ok(self.0.lock().unwrap().get(&key).copied().unwrap_or_default())
    }

    async fn usage(&self, _: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        panic!("limits ask for no usage")
    }

    async fn flush(&self, _: Duration) -> usize {
        0
    }
}

proptest! {
    /// Against the definition: a sum for each window, whatever the clock does, with restarts that forget everything but
    /// the ledger.
    #[test]
    fn counting_is_adding_up(steps in steps()) {
        let all = LimitSet {
            requests_per_minute: Some(6),
            tokens_per_minute: Some(100),
            nano_usd_per_day: Some(300),
            nano_usd_per_month: Some(400),
        };
        let subjects = [
            (key("K"), all),
            (Subject::User(Owner { tenant: "T".to_owned(), user: "U".to_owned() }), tokens(80)),
            (Subject::Tenant("T".to_owned()), LimitSet { requests_per_minute: None, ..all }),
        ];
        let sums = Arc::new(Sums::default());
        let mut limits = ProcessLimits::new(Some(sums.clone()));
        let (mut open, mut now, mut number) = (Vec::<Reservation>::new(), NOW, 0);
        for step in steps {
            match step {
                Step::Clock(by) => now = now.saturating_add_signed(by),
                // What was open stays charged with what was reserved.
                Step::Restart => {
                    open.clear();
                    limits = ProcessLimits::new(Some(sums.clone()));
                }
                Step::Settle { which, used } if !open.is_empty() => {
                    let settled = open.swap_remove(which.index(open.len()));
                    let used = Amounts { requests: 1, tokens: used, nano_usd: used };
                    let mut sums = sums.0.lock().unwrap();
                    for (subject, place, _) in super::limits(&settled) {
                        let sum = sums.get_mut(&(subject.clone(), place)).unwrap();
                        *sum = *sum - settled.amounts.of(place.quota) + used.of(place.quota);
                    }
                    drop(sums);
                    limits.settle(&settled, used);
                    // Twice is once.
                    limits.settle(&settled, Amounts { requests: 9, tokens: 9, nano_usd: 9 });
                }
                Step::Settle { .. } => {}
                Step::Reserve { subjects: chosen, amount } => {
                    number += 1;
                    let claims: Vec<_> = subjects.iter().zip(chosen).filter(|(_, chosen)| *chosen).collect();
                    let claims: Vec<_> = claims.into_iter().map(|(claim, _)| claim.clone()).collect();
                    let asked = reservation(number, now, &claims, amount);
                    let before = sums.0.lock().unwrap().clone();
                    let used = |subject: &Subject, place| before.get(&(subject.clone(), place)).copied().unwrap_or(0);
                    let over = super::limits(&asked)
                        .filter(|(subject, place, limit)| used(subject, *place) + asked.amounts.of(place.quota) > *limit)
                        .map(|(_, place, _)| place.end());
                    let outcome = futures_util::FutureExt::now_or_never(limits.reserve(&asked)).unwrap();
                    match (over.max(), outcome) {
                        (None, Ok(states)) => {
                            let mut sums = sums.0.lock().unwrap();
                            for ((subject, place, limit), state) in super::limits(&asked).zip(states) {
                                let sum = sums.entry((subject.clone(), place)).or_default();
                                *sum += asked.amounts.of(place.quota);
                                prop_assert_eq!((state.used, state.limit, state.quota), (*sum, limit, place.quota));
                            }
                            open.push(asked);
                        }
                        (Some(resets_ms), Err(NotReserved::Over(state))) => {
                            prop_assert_eq!(state.resets_ms, resets_ms);
                            prop_assert!(state.used + asked.amounts.of(state.quota) > state.limit);
                        }
                        (over, outcome) => prop_assert!(false, "{:?} {:?}", over, outcome),
                    }
                }
            }
        }
    }
}
