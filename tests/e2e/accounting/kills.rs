//! The backend is killed at moments that nobody chose, again and again over one database.

use std::{collections::BTreeMap, time::Duration};

use goblin_tests::ledger_reader::{LedgerReader, LedgerRow};

use super::{
    bench::Bench,
    drawn,
    invariants::Books,
    load::{ALL_KINDS, Load},
};
use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test(TEST, || async { every_request_is_in_the_books().await });
}

const TEST: &str = "every_request_is_in_the_books_though_the_backend_is_killed_fifty_times";

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
