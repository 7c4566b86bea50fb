//! The backend is killed at moments that nobody chose, again and again over one database.

use std::{collections::BTreeMap, time::Duration};

use goblin_tests::{
    ledger_reader::{LedgerReader, LedgerRow},
    postgres::Postgres,
    redis::Redis,
};
use serde_json::json;

use super::{
    bench::{Bench, chat},
    drawn,
    figures::{Window, left},
    invariants::Books,
    load::{ALL_KINDS, Load, MAX_TOKENS},
    outages::needed,
    seen::{id_of, now_ms},
};
use crate::suite::{Outcome, Suite};

pub(crate) fn register(suite: &mut Suite) {
    suite.test(TEST, || async { every_request_is_in_the_books().await });
    suite.test(OF_TWO, one_of_two_is_killed);
}

const TEST: &str = "every_request_is_in_the_books_though_the_backend_is_killed_fifty_times";

const OF_TWO: &str = "every_request_is_in_the_books_though_one_of_two_instances_is_killed_ten_times";

const KILLS_OF_TWO: usize = 10;
/// A limit that the load never reaches, in billionths of a dollar: as `keys create` takes it, as `ratelimit` names it.
const BUDGET: (u64, [&str; 2], &str) = (1_000_000_000_000, ["--usd-per-day", "1000"], "key-usd-per-day");

const KILLS: usize = 50;
const CALLERS: usize = 8;
/// A kill comes within so many heads and ends of answers, and up to so long behind one of them.
const EVENTS: u64 = 40;
const BEHIND_US: u64 = 5_000;
/// So many of the kills at least have to find something open, or they prove little.
const LEAST_FOUND_OPEN: usize = KILLS / 4;

async fn every_request_is_in_the_books() {
    let mut rng = drawn::generator(TEST);
    let bench = Bench::over_sqlite().await;
    let key = bench.key(&[]).await;
    let load = Load::of(&bench, &key, ALL_KINDS, CALLERS, &mut rng);
    let mut found_open = 0;
    for kill in 0..KILLS {
        let before = if kill == 0 { Vec::new() } else { rows_of_the_dead(&bench).await };
        found_open += usize::from(before.iter().any(|row| row.outcome.is_none()));
        let backend = bench.start().await;
        let books = Books::settled(&bench).await;
        assert_only_interrupted(before, &books.rows);
        books.assert_account_for(&load.seen(), &bench.provider.traces(), true);
        load.turn_to(backend.service());
        load.goes_on(rng.u64(1..=EVENTS)).await;
        tokio::time::sleep(Duration::from_micros(rng.u64(0..=BEHIND_US))).await;
        backend.kill().await;
        load.pause();
    }
    let seen = load.end().await;
    let backend = bench.start().await;
    let books = Books::settled(&bench).await;
    books.assert_account_for(&seen, &bench.provider.traces(), true);
    backend.terminate(goblin_tests::patience::PATIENCE).await;
    let mut reader = bench.reader().await;
    assert_eq!(reader.integrity().await.unwrap(), "ok");
    reader.close().await.unwrap();
    assert!(found_open >= LEAST_FOUND_OPEN, "only {found_open} of {KILLS} kills came in the midst of something");
    assert!(!books.turns.is_empty(), "nobody conversed");
    let completed = books.rows.iter().filter(|row| row.is("completed")).count();
    println!(
        "{TEST}: {} requests, {completed} completed, {} turns, {found_open} of {KILLS} kills found requests open",
        books.rows.len(),
        books.turns.len()
    );
}

/// What the files hold that the dead left.
async fn rows_of_the_dead(bench: &Bench) -> Vec<LedgerRow> {
    let mut reader = LedgerReader::open_copy(&bench.store_url).await.unwrap();
    let rows = Books::read(&mut reader).await.rows;
    reader.close().await.unwrap();
    rows
}

/// What was settled is as it was, what was open is interrupted, and nothing came or went.
fn assert_only_interrupted(before: Vec<LedgerRow>, after: &[LedgerRow]) {
    let mut after: BTreeMap<&str, &LedgerRow> = after.iter().map(|row| (row.request_id.as_str(), row)).collect();
    for row in before {
        let now = after.remove(row.request_id.as_str()).unwrap_or_else(|| panic!("gone: {row:?}"));
        match row.outcome {
            Some(_) => assert_eq!(*now, row, "settled again"),
            None => assert!(now.is("interrupted"), "{now:?}"),
        }
    }
    assert!(after.is_empty(), "nobody asked for {after:?}");
}

/// The rows of the dead are interrupted by the other one, when their lease is over.
async fn one_of_two_is_killed() -> Outcome {
    let (redis, postgres) = match (needed(Redis::shared().await), needed(Postgres::shared().await)) {
        (Ok(redis), Ok(postgres)) => (redis, postgres),
        (Err(outcome), _) | (_, Err(outcome)) => return outcome,
    };
    let mut rng = drawn::generator(OF_TWO);
    let bench = Bench::over(postgres.database().await.unwrap()).await;
    let bench = bench.with("GOBLIN_STORE__REDIS", redis.database().unwrap()).with("GOBLIN_LIMITS__COUNT_IN", "redis");
    let (limit, arguments, name) = BUDGET;
    let key = bench.key(&arguments).await;
    let began = now_ms();
    let steady = bench.start().await;
    let loads = [(); 2].map(|()| Load::of(&bench, &key, ALL_KINDS, CALLERS, &mut rng));
    loads[0].turn_to(steady.service());
    for _ in 0..KILLS_OF_TWO {
        let mortal = bench.start().await;
        loads[1].turn_to(mortal.service());
        loads[1].goes_on(rng.u64(1..=EVENTS)).await;
        tokio::time::sleep(Duration::from_micros(rng.u64(0..=BEHIND_US))).await;
        mortal.kill().await;
        loads[1].pause();
    }
    let [of_steady, of_mortal] = loads;
    let seen = [of_steady.end().await, of_mortal.end().await].concat();
    let books = Books::settled(&bench).await;
    books.assert_account_for(&seen, &bench.provider.traces(), true);
    let interrupted = books.rows.iter().filter(|row| row.is("interrupted")).count();
    assert!(interrupted > 0, "no kill came in the midst of anything");
    // What is counted is what the ledger charged. More, where a kill came between a reservation and its row; less, where it
    // came between the settlement of the limits and that of the row, which is charged what was reserved then.
    let client = goblin_tests::http_client::new();
    let body = bench.provider.ask("Hello", json!({"max_tokens": MAX_TOKENS}));
    let answer = chat(&client, &steady, &key, &body).send().await.unwrap();
    let (id, left) = (id_of(&answer), left(&answer, name).unwrap_or_else(|| panic!("{:?}", answer.headers())));
    answer.text().await.unwrap();
    let rows = Books::settled(&bench).await.rows;
    let own = rows.iter().find(|row| row.request_id == id).expect("its row");
    let others: u64 = rows.iter().filter(|row| row.request_id != id).filter_map(|row| row.charged_nano_usd).sum();
    let expected = limit - others - own.reserved_nano_usd;
    let most = (KILLS_OF_TWO * CALLERS) as u64 * own.reserved_nano_usd;
    let least: u64 = rows.iter().filter(|row| row.is("interrupted")).filter_map(|row| row.charged_nano_usd).sum();
    // Tests do not run around midnight without being told so.
    if Window::Day.of(began) == Window::Day.of(now_ms()) {
        let told = left * 1_000;
        // Told in millionths of a dollar, rounded down.
        let right = (expected - most) / 1_000 * 1_000..=expected + least;
        assert!(right.contains(&told), "{told} are left, though {others} were charged: {right:?}");
    }
    steady.terminate(goblin_tests::patience::PATIENCE).await;
    println!("{OF_TWO}: {} requests, {interrupted} interrupted", rows.len());
    Outcome::Passed
}
