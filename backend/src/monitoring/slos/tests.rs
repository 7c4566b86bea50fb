//! Windows, budgets, burn rates, restarts and reports, under a clock that is moved by hand.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use proptest::prelude::*;

use super::{report::Standing, *};
use crate::ports::{SloCount, SloCounts, StoreError};

/// 2026-11-25, at 00:00 UTC, in minutes.
const MIDNIGHT: u32 = 20_782 * DAY;

const OBJECTIVES: Objectives =
    Objectives { ratios: [0.95, 0.999, 0.995, 0.999], chat_within: Duration::from_secs(2), period_days: 30 };

#[derive(Default)]
struct ByHand(AtomicU64);

impl ByHand {
    fn at(minute: u32) -> Arc<Self> {
        let clock = Arc::new(Self::default());
        clock.move_to(minute);
        clock
    }

    fn move_to(&self, minute: u32) {
        self.0.store(u64::from(minute) * 60_000, Ordering::Relaxed);
    }
}

impl Clock for ByHand {
    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn slos(clock: &Arc<ByHand>, run: u8) -> Slos {
    Slos::new(OBJECTIVES, clock.clone(), [run; 16])
}

fn count(slos: &Slos, slo: Slo, window: &str) -> (u64, u64) {
    let report = slos.report();
    let found = report.windows(slo).find(|(name, _)| *name == window).unwrap().1;
    (found.good, found.valid)
}

#[test]
fn windows_end_with_the_current_minute_and_have_exact_borders() {
    let clock = ByHand::at(MIDNIGHT);
    let slos = slos(&clock, 1);
    slos.record(Slo::Llm, true);
    slos.record(Slo::Llm, false);
    slos.record(Slo::Auth, true);
    for (minutes, within) in [(0, (1, 2)), (4, (1, 2)), (5, (0, 0))] {
        clock.move_to(MIDNIGHT + minutes);
        assert_eq!(count(&slos, Slo::Llm, "5m"), within, "after {minutes} minutes");
    }
    assert_eq!(count(&slos, Slo::Llm, "30m"), (1, 2));
    clock.move_to(MIDNIGHT + PERIOD - 1);
    assert_eq!((count(&slos, Slo::Llm, "3d"), count(&slos, Slo::Llm, "30d")), ((0, 0), (1, 2)));
    clock.move_to(MIDNIGHT + PERIOD);
    assert_eq!(count(&slos, Slo::Llm, "30d"), (0, 0));
}

#[test]
fn chat_requests_are_judged_by_their_time() {
    let slos = slos(&ByHand::at(MIDNIGHT), 1);
    for millis in [10, 1_999, 2_000, 2_001] {
        slos.answered_after(Duration::from_millis(millis));
    }
    assert_eq!(count(&slos, Slo::ChatLatency, "5m"), (3, 4));
}

#[test]
fn budgets_and_burn_rates_are_those_of_the_book() {
    let standing = |good, valid| Standing { objective: 0.999, period: Count { good, valid } };
    assert!((standing(1_000_000, 1_000_000).budget_remaining() - 1.0).abs() < 1e-12);
    assert!((standing(999_500, 1_000_000).budget_remaining() - 0.5).abs() < 1e-9);
    assert!(standing(999_000, 1_000_000).budget_remaining().abs() < 1e-9);
    assert!((standing(998_000, 1_000_000).budget_remaining() + 1.0).abs() < 1e-9);
    assert!((standing(0, 0).budget_remaining() - 1.0).abs() < 1e-12);
    // All of a window lost burns a thousand times too fast, a thousandth just as fast as is allowed.
    assert!((standing(0, 0).burn_rate(Count { good: 0, valid: 7 }) - 1_000.0).abs() < 1e-6);
    assert!((standing(0, 0).burn_rate(Count { good: 999, valid: 1_000 }) - 1.0).abs() < 1e-9);
    assert!(standing(0, 0).burn_rate(Count::default()).abs() < 1e-12);
}

#[test]
fn an_alert_needs_its_long_and_its_short_window() {
    let clock = ByHand::at(MIDNIGHT);
    let slos = slos(&clock, 1);
    let firing = |slos: &Slos| {
        let report = slos.report();
        BURN_ALERTS.map(|alert| report.is_firing(Slo::Llm, &alert))
    };
    (0..100).for_each(|_| slos.record(Slo::Llm, false));
    assert_eq!(firing(&slos), [true; 4]);
    // Six minutes later it is over: the short windows know, and some are longer.
    clock.move_to(MIDNIGHT + 6);
    assert_eq!(firing(&slos), [false, true, true, true]);
    clock.move_to(MIDNIGHT + 31);
    assert_eq!(firing(&slos), [false, false, true, true]);
    // Many good ones dilute the long ones.
    (0..100_000).for_each(|_| slos.record(Slo::Llm, true));
    assert_eq!(firing(&slos), [false; 4]);
}

#[test]
fn days_are_those_of_utc() {
    let clock = ByHand::at(MIDNIGHT - 1);
    let slos = slos(&clock, 1);
    slos.record(Slo::Api, false);
    clock.move_to(MIDNIGHT);
    slos.record(Slo::Api, true);
    let json = slos.report().json();
    let api = &json["data"][Slo::Api as usize];
    let history = api["history"].as_array().unwrap();
    assert_eq!(history.len(), 30);
    assert_eq!(history[29], serde_json::json!({"day": "2026-11-25", "good": 1, "valid": 1, "compliance": 1.0}));
    assert_eq!(history[28], serde_json::json!({"day": "2026-11-24", "good": 0, "valid": 1, "compliance": 0.0}));
    assert_eq!(history[27]["compliance"], serde_json::Value::Null);
    assert_eq!((&api["id"], &api["objective"], &api["period"]), (&"api".into(), &0.999.into(), &"30d".into()));
    assert_eq!(api["windows"]["5m"]["valid"], 2);
    assert_eq!(json["data"][0]["threshold_seconds"], 2.0);
}

/// Keeps in memory, unless it is down.
#[derive(Default)]
struct Memory {
    rows: Mutex<std::collections::BTreeMap<(Run, String, u32), SloCount>>,
    is_down: AtomicBool,
}

#[async_trait]
impl SloCounts for Memory {
    async fn write(&self, run: Run, counts: &[SloCount]) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("down".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        for count in counts {
            rows.insert((run, count.slo.clone(), count.minute), count.clone());
        }
        Ok(())
    }

    async fn read(&self, except: Run, from_minute: u32) -> Result<Vec<SloCount>, StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("down".into()));
        }
        let rows = self.rows.lock().unwrap();
        let others = rows.iter().filter(|((run, _, minute), _)| *run != except && *minute >= from_minute);
        Ok(others.map(|(_, count)| count.clone()).collect())
    }

    async fn forget(&self, before_minute: u32) -> Result<(), StoreError> {
        self.rows.lock().unwrap().retain(|(_, _, minute), _| *minute >= before_minute);
        Ok(())
    }
}

#[tokio::test]
async fn counts_survive_restarts_and_instances_add_up() {
    let (clock, store) = (ByHand::at(MIDNIGHT), Arc::new(Memory::default()));
    let (first, second) = (slos(&clock, 1), slos(&clock, 2));
    let (keeper, mut other) =
        (SloKeeper::start(first.clone(), store.clone()).await, SloKeeper::start(second.clone(), store.clone()).await);
    first.record(Slo::Auth, false);
    keeper.write().await;
    first.record(Slo::Auth, true);
    second.record(Slo::Auth, true);
    store.is_down.store(true, Ordering::Relaxed);
    keeper.write().await;
    store.is_down.store(false, Ordering::Relaxed);
    keeper.write().await;
    other.write().await;
    other.round(1).await;
    other.round(2).await;
    assert_eq!(count(&second, Slo::Auth, "5m"), (2, 3));

    clock.move_to(MIDNIGHT + 60);
    let third = slos(&clock, 3);
    let keeper = SloKeeper::start(third.clone(), store.clone()).await;
    third.record(Slo::Auth, true);
    assert_eq!((count(&third, Slo::Auth, "5m"), count(&third, Slo::Auth, "1d")), ((1, 1), (3, 4)));
    // The end writes what is new.
    keeper.run(std::future::ready(())).await;
    let all = store.read([9; 16], 0).await.unwrap();
    let report = SloReport::of_counts(OBJECTIVES, u64::from(MIDNIGHT + 60) * 60_000, &all);
    assert_eq!(report.standing(Slo::Auth).period, Count { good: 3, valid: 4 });
}

#[tokio::test]
async fn what_could_not_be_learnt_is_learnt_later() {
    let (clock, store) = (ByHand::at(MIDNIGHT), Arc::new(Memory::default()));
    let (first, second) = (slos(&clock, 1), slos(&clock, 2));
    first.record(Slo::Auth, false);
    let mut keeper = SloKeeper::start(first.clone(), store.clone()).await;
    keeper.write().await;
    // Two days later another begins while the store is away.
    clock.move_to(MIDNIGHT + 2 * DAY);
    store.is_down.store(true, Ordering::Relaxed);
    let mut other = SloKeeper::start(second.clone(), store.clone()).await;
    assert_eq!(count(&second, Slo::Auth, "3d"), (0, 0));
    store.is_down.store(false, Ordering::Relaxed);
    other.round(1).await;
    assert_eq!(count(&second, Slo::Auth, "3d"), (0, 1));

    // One is cut off for an hour, in which both count.
    store.is_down.store(true, Ordering::Relaxed);
    second.record(Slo::Auth, true);
    other.round(2).await;
    clock.move_to(MIDNIGHT + 2 * DAY + 60);
    store.is_down.store(false, Ordering::Relaxed);
    keeper.round(1).await;
    other.round(3).await;
    assert_eq!(count(&first, Slo::Auth, "3d"), (0, 1), "it knows nothing yet of what came late");
    keeper.round(keeper::HOUR).await;
    assert_eq!((count(&first, Slo::Auth, "3d"), count(&second, Slo::Auth, "3d")), ((1, 2), (1, 2)));
}

/// A store that takes its time to write.
struct Slow(Memory, tokio::sync::Semaphore);

#[async_trait]
impl SloCounts for Slow {
    async fn write(&self, run: Run, counts: &[SloCount]) -> Result<(), StoreError> {
        self.1.acquire().await.unwrap().forget();
        self.0.write(run, counts).await
    }

    async fn read(&self, except: Run, from_minute: u32) -> Result<Vec<SloCount>, StoreError> {
        self.0.read(except, from_minute).await
    }

    async fn forget(&self, before_minute: u32) -> Result<(), StoreError> {
        self.0.forget(before_minute).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_in_mid_write_loses_nothing() {
    let clock = ByHand::at(MIDNIGHT);
    let store = Arc::new(Slow(Memory::default(), tokio::sync::Semaphore::new(0)));
    let slos = slos(&clock, 1);
    slos.record(Slo::Auth, true);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let keeper = SloKeeper::start(slos.clone(), store.clone()).await;
    let running = tokio::spawn(keeper.run(async { drop(ended.await) }));
    // Its first round waits for the store when the end comes.
    tokio::time::sleep(Duration::from_secs(15)).await;
    end.send(()).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    store.1.add_permits(8);
    running.await.unwrap();
    let written = store.read([9; 16], 0).await.unwrap();
    assert_eq!(written.iter().map(|count| count.valid).sum::<u64>(), 1);
}

#[test]
fn the_report_is_as_drawn() {
    let clock = ByHand::at(MIDNIGHT - DAY);
    let slos = slos(&clock, 1);
    (0..1_000).for_each(|event| slos.record(Slo::Llm, event >= 4));
    clock.move_to(MIDNIGHT);
    (0..1_000).for_each(|event| slos.record(Slo::Llm, event >= 8));
    let text = slos.report().text();
    let paragraphs: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(
        paragraphs[Slo::Llm as usize],
        "LLM availability  [llm]\n  \
           objective 99.5 %, kept 99.4 % over 30 days, 1988 of 2000 events good\n  \
           budget    [░░░░░░░░░░░░░░░░░░░░] -20 % left\n  \
           errors    ····························▅█  by day, at most 0.8 %\n  \
           burn rate 5m 1.6  30m 1.6  1h 1.6  2h 1.6  6h 1.6  1d 1.6  3d 1.2  30d 1.2\n  \
           ticket: more than 1 over 3d and 6h"
    );
    assert!(paragraphs[0].contains("[████████████████████] 100 % left") && paragraphs[0].contains("kept –"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in the course of forty days, each window has what a look at each event finds.
    #[test]
    fn windows_have_what_happened_in_them(
        mut events in prop::collection::vec((0..40 * DAY, 0..4_usize, any::<bool>()), 0..200),
        after in 0..DAY,
    ) {
        events.sort_unstable();
        let clock = ByHand::at(MIDNIGHT);
        let slos = slos(&clock, 1);
        for (minute, slo, is_good) in &events {
            clock.move_to(MIDNIGHT + minute);
            slos.record(Slo::ALL[*slo], *is_good);
        }
        let now = events.last().map_or(0, |(minute, _, _)| *minute) + after;
        clock.move_to(MIDNIGHT + now);
        let report = slos.report();
        for slo in Slo::ALL {
            for (window, (_, count)) in WINDOWS.iter().zip(report.windows(slo)) {
                let within = |minute: u32| minute <= now && minute + window.minutes > now;
                let found = events.iter().filter(|(minute, of, _)| *of == slo as usize && within(*minute));
                let good = found.clone().filter(|(_, _, is_good)| *is_good).count() as u64;
                prop_assert_eq!(count, Count { good, valid: found.count() as u64 });
            }
        }
    }
}
