//! What holds of all limits.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use super::{
    bench::{Bench, NOW, amounts, key, limit, opening, refused, reservation, tenant, user},
    known_ledger::KnownLedger,
};
use crate::ports::{Amounts, Level, LimitSet, NotReserved, Quota, Reservation, Subject};

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

pub(crate) async fn a_limit_is_reached_and_not_passed(bench: Bench, _: Arc<KnownLedger>) {
    let claims = [(key("K"), limit(Quota::Tokens, 100))];
    for (tokens, used) in [(60, 60), (40, 100), (0, 100)] {
        let states = bench.limits[0].reserve(&reservation(&claims, tokens)).await.unwrap();
        let [state] = states[..] else { panic!("{states:?}") };
        assert_eq!((state.level, state.quota, state.limit, state.used), (Level::Key, Quota::Tokens, 100, used));
        assert_eq!(state.resets_ms, NOW + MINUTE);
    }
    let state = refused(bench.limits[1].reserve(&reservation(&claims, 1)).await);
    assert_eq!((state.level, state.quota, state.limit, state.used), (Level::Key, Quota::Tokens, 100, 100));
    assert_eq!(state.resets_ms, NOW + MINUTE);
    let none = bench.limits[0].reserve(&reservation(&[], u64::MAX)).await.unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn everything_is_taken_or_nothing(bench: Bench, _: Arc<KnownLedger>) {
    let wide = LimitSet {
        requests_per_minute: Some(1_000),
        tokens_per_minute: Some(1_000),
        nano_usd_per_day: Some(1_000),
        nano_usd_per_month: Some(1_000),
    };
    let claims = [(key("K"), wide), (user("T", "U"), limit(Quota::DailySpend, 10)), (tenant("T"), wide)];
    bench.limits[0].reserve(&reservation(&claims, 7)).await.unwrap();
    let before = bench.used(&claims, NOW).await;
    assert_eq!(before, [1, 7, 7, 7, 7, 1, 7, 7, 7]);
    let state = refused(bench.limits[0].reserve(&reservation(&claims, 4)).await);
    assert_eq!((state.level, state.quota, state.used), (Level::User, Quota::DailySpend, 7));
    assert_eq!(state.resets_ms, NOW - NOW % DAY + DAY);
    assert_eq!(bench.used(&claims, NOW).await, before);
    bench.limits[1].reserve(&reservation(&claims, 3)).await.unwrap();
}

pub(crate) async fn what_was_not_used_is_put_back_once(bench: Bench, _: Arc<KnownLedger>) {
    let both = LimitSet { requests_per_minute: Some(10), ..limit(Quota::MonthlySpend, 100) };
    let claims = [(key("K"), both)];
    let (less, more) = (reservation(&claims, 60), reservation(&claims, 30));
    for reservation in [&less, &more] {
        bench.limits[0].reserve(reservation).await.unwrap();
    }
    assert_eq!(bench.used(&claims, NOW).await, [2, 90]);
    bench.limits[0].settle(&less, amounts(25));
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [2, 55]);
    bench.limits[0].settle(&less, amounts(25));
    // What was used counts, also where it is more than was thought, even beyond the limit.
    bench.limits[0].settle(&more, amounts(90));
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [2, 115]);
    refused(bench.limits[0].reserve(&reservation(&claims, 0)).await);
}

pub(crate) async fn windows_are_those_in_which_requests_begin(bench: Bench, _: Arc<KnownLedger>) {
    let claims = [(key("K"), limit(Quota::Tokens, 10)), (tenant("T"), limit(Quota::DailySpend, 15))];
    let first = reservation(&claims, 10);
    bench.limits[0].reserve(&first).await.unwrap();
    refused(bench.limits[0].reserve(&Reservation { at_ms: NOW + MINUTE - 1, ..reservation(&claims, 1) }).await);
    let second = Reservation { at_ms: NOW + MINUTE, ..reservation(&claims, 5) };
    bench.limits[0].reserve(&second).await.unwrap();
    let state = refused(bench.limits[0].reserve(&Reservation { at_ms: NOW + MINUTE, ..reservation(&claims, 1) }).await);
    assert_eq!((state.quota, state.used), (Quota::DailySpend, 15));
    // The next day has a budget of its own. What is settled then belongs to the day on which it began.
    let tomorrow = NOW + DAY;
    bench.limits[0].reserve(&Reservation { at_ms: tomorrow, ..reservation(&claims, 9) }).await.unwrap();
    bench.limits[1].settle(&first, amounts(2));
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [2, 7]);
    assert_eq!(bench.used(&claims, NOW + MINUTE).await, [5, 7]);
    assert_eq!(bench.used(&claims, tomorrow).await, [9, 9]);
}

pub(crate) async fn of_one_try_there_is_one_reservation(bench: Bench, _: Arc<KnownLedger>) {
    let claims = [(key("K"), limit(Quota::Tokens, 10))];
    let once = reservation(&claims, 6);
    for limits in &bench.limits {
        let states = limits.reserve(&once).await.unwrap();
        assert_eq!(states[0].used, 6);
    }
    assert_eq!(bench.used(&claims, NOW).await, [6]);
    // Another try of the same request is refused by the ledger, and gives back what is its own.
    let again = Reservation { opening: opening(), amounts: amounts(4), ..once.clone() };
    assert_eq!(bench.limits[1].reserve(&again).await.unwrap()[0].used, 10);
    bench.limits[1].settle(&again, Amounts::default());
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [6]);
    bench.limits[0].settle(&once, amounts(5));
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [5]);
}

pub(crate) async fn a_try_that_was_given_up_keeps_no_other_from_the_request(bench: Bench, _: Arc<KnownLedger>) {
    let claims = [(key("K"), limit(Quota::Tokens, 10))];
    let lost = reservation(&claims, 6);
    // As of one whose outcome nobody knows, and which arrives later than its settlement.
    bench.limits[0].settle(&lost, Amounts::default());
    bench.settled().await;
    let again = Reservation { opening: opening(), ..lost };
    assert_eq!(bench.limits[1].reserve(&again).await.unwrap()[0].used, 6);
}

pub(crate) async fn a_reservation_that_nobody_waits_for_is_released(bench: Bench, _: Arc<KnownLedger>) {
    let claims = [(key("K"), limit(Quota::Tokens, 1_000_000))];
    for polls in 0..40 {
        let left = reservation(&claims, 7);
        let limits = &bench.limits[polls % 2];
        {
            let mut reserving = pin!(limits.reserve(&left));
            for _ in 0..polls % 8 {
                let is_done = poll_fn(|context| Poll::Ready(reserving.as_mut().poll(context).is_ready())).await;
                if is_done {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        limits.settle(&left, Amounts::default());
    }
    bench.settled().await;
    assert_eq!(bench.used(&claims, NOW).await, [0]);
}

pub(crate) async fn counters_begin_with_what_the_ledger_says(bench: Bench, ledger: Arc<KnownLedger>) {
    let claims = [(user("", "U"), limit(Quota::DailySpend, 100)), (key("K"), limit(Quota::Requests, 5))];
    ledger.charge(&claims[0].0, Quota::DailySpend, 70);
    ledger.charge(&claims[1].0, Quota::Requests, 4);
    let state = refused(bench.limits[0].reserve(&reservation(&claims, 31)).await);
    assert_eq!((state.quota, state.used), (Quota::DailySpend, 70));
    bench.limits[1].reserve(&reservation(&claims, 30)).await.unwrap();
    assert_eq!(bench.used(&claims, NOW).await, [100, 5]);
    // Only once: what the ledger says later is what was counted here.
    ledger.charge(&claims[1].0, Quota::Requests, 3);
    assert_eq!(bench.used(&claims, NOW).await, [100, 5]);
}

pub(crate) async fn names_that_look_alike_are_counted_apart(bench: Bench, _: Arc<KnownLedger>) {
    let alike = [
        user("", "a"),
        user("a", ""),
        user("a", "b:c"),
        user("a:b", "c"),
        user("1", "a"),
        key("a"),
        tenant("a"),
        tenant("1:a"),
        key("a:requests_per_minute"),
        user("a", "b\u{0}'\" %*\n"),
    ];
    for subject in &alike {
        let claims = [(subject.clone(), limit(Quota::Requests, 1))];
        bench.limits[0].reserve(&reservation(&claims, 0)).await.unwrap();
        refused(bench.limits[1].reserve(&reservation(&claims, 0)).await);
    }
}

pub(crate) async fn many_callers_never_pass_a_limit_and_lose_nothing(bench: Bench, _: Arc<KnownLedger>) {
    const CALLERS: u64 = 64;
    const EACH: u64 = 5;
    let claims = [(key("K"), limit(Quota::Tokens, 1_000)), (tenant("T"), limit(Quota::MonthlySpend, 100_000))];
    let (held, kept, taken) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let caller = async |number: u64| {
        let limits = &bench.limits[usize::try_from(number % 2).unwrap()];
        for round in 0..EACH {
            let tokens = 10 + (number * 7 + round * 13) % 50;
            let reservation = reservation(&claims, tokens);
            match limits.reserve(&reservation).await {
                Ok(states) => {
                    let now = held.fetch_add(tokens, Ordering::AcqRel) + tokens;
                    assert!(now <= 1_000, "{now} of 1000 tokens are reserved");
                    assert!(states.iter().all(|state| state.used <= state.limit), "{states:?}");
                    taken.fetch_add(1, Ordering::AcqRel);
                    tokio::task::yield_now().await;
                    let used = tokens / 10;
                    kept.fetch_add(used, Ordering::AcqRel);
                    // Before the settlement: what is put back may be taken at once.
                    held.fetch_sub(tokens - used, Ordering::AcqRel);
                    limits.settle(&reservation, amounts(used));
                }
                Err(NotReserved::Over(state)) => assert!(state.used + tokens > state.limit, "{state:?}"),
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    futures_util::future::join_all((0..CALLERS).map(caller)).await;
    bench.settled().await;
    let kept = kept.into_inner();
    assert_eq!(bench.used(&claims, NOW).await, [kept, kept]);
    assert!(taken.into_inner() >= 20, "hardly anybody got through");
}

pub(crate) async fn random_steps_agree_with_a_simple_model(bench: Bench, _: Arc<KnownLedger>) {
    let seed = std::env::var("GOBLIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    // Shown where the test fails; `GOBLIN_TEST_SEED` runs the same steps again.
    println!("GOBLIN_TEST_SEED={seed}");
    let mut steps = Steps(seed);
    let subjects = [key("K"), key("L"), user("T", "U"), tenant("T")];
    let sets = [10, 40, 90].map(|most| LimitSet {
        requests_per_minute: Some(most / 5),
        tokens_per_minute: Some(most),
        nano_usd_per_day: Some(most * 3),
        nano_usd_per_month: Some(most * 5),
    });
    let mut model: HashMap<(Subject, Quota, u64), u64> = HashMap::new();
    let mut open: Vec<Reservation> = Vec::new();
    let mut at_ms = NOW;
    for _ in 0..400 {
        let limits = &bench.limits[usize::try_from(steps.below(2)).unwrap()];
        match steps.below(10) {
            0 => at_ms += [1, MINUTE / 2, MINUTE, 5 * MINUTE, DAY / 3][usize::try_from(steps.below(5)).unwrap()],
            1..4 if !open.is_empty() => {
                let index = usize::try_from(steps.below(open.len() as u64)).unwrap();
                let settled = open.swap_remove(index);
                let used = amounts(steps.below(settled.amounts.tokens + 3));
                limits.settle(&settled, used);
                bench.settled().await;
                for entry in entries(&settled) {
                    let count = model.get_mut(&entry).unwrap();
                    *count = *count + used.of(entry.1) - settled.amounts.of(entry.1);
                }
            }
            _ => {
                let claims = subjects.iter().filter(|_| steps.below(2) == 0).cloned().collect::<Vec<_>>();
                let claims: Vec<_> =
                    claims.into_iter().map(|it| (it, sets[usize::try_from(steps.below(3)).unwrap()])).collect();
                let asked = Reservation { at_ms, ..reservation(&claims, steps.below(20)) };
                let fits = entries(&asked).iter().all(|entry| {
                    let limit = claims.iter().find(|(subject, _)| *subject == entry.0).unwrap().1.of(entry.1).unwrap();
                    model.get(entry).copied().unwrap_or(0) + asked.amounts.of(entry.1) <= limit
                });
                match limits.reserve(&asked).await {
                    Ok(states) => {
                        assert!(fits, "seed {seed}: taken beyond a limit: {states:?}");
                        for (entry, state) in entries(&asked).into_iter().zip(states) {
                            let amount = asked.amounts.of(entry.1);
                            let count = model.entry(entry).or_default();
                            *count += amount;
                            assert_eq!(state.used, *count, "seed {seed}");
                        }
                        open.push(asked);
                    }
                    Err(NotReserved::Over(state)) => assert!(!fits, "seed {seed}: refused without need: {state:?}"),
                    Err(error) => panic!("seed {seed}: {error:?}"),
                }
            }
        }
    }
}

/// The counters of a reservation in the model, in the order of its states. All its limits are set.
fn entries(reservation: &Reservation) -> Vec<(Subject, Quota, u64)> {
    // The steps stay within one month.
    let start = |quota| match quota {
        Quota::Requests | Quota::Tokens => reservation.at_ms / MINUTE,
        Quota::DailySpend => reservation.at_ms / DAY,
        Quota::MonthlySpend => 0,
    };
    let subjects = reservation.claims.iter().map(|(subject, _)| subject);
    subjects.flat_map(|subject| Quota::ALL.map(|quota| (subject.clone(), quota, start(quota)))).collect()
}

/// Steps that are the same for the same seed: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
struct Steps(u64);

impl Steps {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
