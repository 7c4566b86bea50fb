//! Two backends that share their stores, and 64 callers who all want more than they may.

use futures_util::future::join_all;
use goblin_tests::{backend::Backend, ledger_reader::LedgerRow, patience::patiently, postgres::Postgres, redis::Redis};
use serde_json::json;
use tokio::sync::watch;

use super::{
    bench::{Bench, chat},
    drawn,
    figures::{Window, charged, left},
    invariants::Books,
    load::{Kind, Load, MAX_TOKENS},
    outages::needed,
    provider::HOLD,
    seen::{End, id_of, now_ms, refusal},
};
use crate::suite::{Outcome, Suite};

pub(crate) fn register(suite: &mut Suite) {
    suite.test(IN_REDIS, counted_in_redis);
    suite.test(IN_POSTGRESQL, counted_in_postgresql);
}

const IN_REDIS: &str = "two_instances_never_pass_a_limit_that_redis_counts";
const IN_POSTGRESQL: &str = "two_instances_never_pass_a_limit_that_postgresql_counts";

const CALLERS: usize = 64;
/// So many heads and ends of answers make a storm.
const STORM: u64 = 400;
const STORM_KINDS: &[Kind] = &[Kind::Unary, Kind::Stream, Kind::LeavesLater, Kind::LeavesEarly, Kind::Unlucky];

/// A limit of a key, and what the ledger says of it.
#[derive(Clone, Copy)]
struct Limited {
    /// As `keys create` takes it.
    arguments: [&'static str; 2],
    /// As `ratelimit` names it.
    name: &'static str,
    limit: u64,
    /// By how much `ratelimit` counts; it leaves the rest out.
    unit: u64,
    window: Window,
    /// How it is refused.
    refused: (u16, &'static str),
    reserved: fn(&LedgerRow) -> u64,
    charged: fn(&LedgerRow) -> Option<u64>,
}

const LIMITS: [Limited; 3] = [
    Limited {
        arguments: ["--requests-per-minute", "20"],
        name: "key-requests",
        limit: 20,
        unit: 1,
        window: Window::Minute,
        refused: (429, "rate_limit_exceeded"),
        reserved: |_| 1,
        charged: |row| row.charged_requests,
    },
    Limited {
        arguments: ["--tokens-per-minute", "2000"],
        name: "key-tokens",
        limit: 2_000,
        unit: 1,
        window: Window::Minute,
        refused: (429, "rate_limit_exceeded"),
        reserved: |row| row.reserved_tokens,
        charged: |row| row.charged_tokens,
    },
    Limited {
        arguments: ["--usd-per-day", "0.001"],
        name: "key-usd-per-day",
        limit: 1_000_000,
        unit: 1_000,
        window: Window::Day,
        refused: (402, "budget_exceeded"),
        reserved: |row| row.reserved_nano_usd,
        charged: |row| row.charged_nano_usd,
    },
];

async fn counted_in_redis() -> Outcome {
    let (redis, postgres) = match (needed(Redis::shared().await), needed(Postgres::shared().await)) {
        (Ok(redis), Ok(postgres)) => (redis, postgres),
        (Err(outcome), _) | (_, Err(outcome)) => return outcome,
    };
    let bench = Bench::over(postgres.database().await.unwrap()).await;
    let bench = bench.with("GOBLIN_STORE__REDIS", redis.database().unwrap()).with("GOBLIN_LIMITS__COUNT_IN", "redis");
    never_over(IN_REDIS, &bench).await;
    Outcome::Passed
}

async fn counted_in_postgresql() -> Outcome {
    let postgres = match needed(Postgres::shared().await) {
        Ok(postgres) => postgres,
        Err(outcome) => return outcome,
    };
    let bench = Bench::over(postgres.database().await.unwrap()).await.with("GOBLIN_LIMITS__COUNT_IN", "postgres");
    never_over(IN_POSTGRESQL, &bench).await;
    Outcome::Passed
}

async fn never_over(test: &str, bench: &Bench) {
    let mut rng = drawn::generator(test);
    let (one, other) = tokio::join!(bench.start(), bench.start());
    let backends = [one, other];
    are_counting(bench, &backends).await;
    for limited in LIMITS {
        let key = bench.key(&limited.arguments).await;
        let own = Own { bench, backends: &backends, key: &key, limited };
        own.as_many_as_fit_at_once().await;
        own.what_was_not_used_is_given_back().await;
        own.storm(&mut rng).await;
        own.what_was_not_used_is_given_back().await;
    }
    let books = Books::settled(bench).await;
    books.assert_account_for(&[], &bench.provider.traces(), false);
    for backend in &backends {
        backend.kill().await;
    }
}

/// Waits until both count: a Redis that is empty may have lost what it had, and is not believed for a moment.
async fn are_counting(bench: &Bench, backends: &[Backend; 2]) {
    let key = bench.key(&["--requests-per-minute", "1000000"]).await;
    let client = goblin_tests::http_client::new();
    for backend in backends {
        let counting = async {
            loop {
                let answer =
                    chat(&client, backend, &key, &bench.provider.ask("Hello", json!({}))).send().await.unwrap();
                if answer.status() == 200 {
                    break answer.text().await.unwrap();
                }
            }
        };
        patiently(counting, || format!("nobody counts:\n{}", backend.process().log().tail(20))).await;
    }
}

/// A key with one limit.
struct Own<'a> {
    bench: &'a Bench,
    backends: &'a [Backend; 2],
    key: &'a str,
    limited: Limited,
}

impl Own<'_> {
    /// All ask at once and nobody is answered: just so many are accepted as there is room for what each may use.
    async fn as_many_as_fit_at_once(&self) {
        let refusals = watch::Sender::new(0_usize);
        let calls = async |number: usize| {
            let client = goblin_tests::http_client::new();
            let body = self.bench.provider.ask(HOLD, json!({"max_tokens": MAX_TOKENS}));
            let answer = chat(&client, &self.backends[number % 2], self.key, &body).send().await.unwrap();
            if answer.status() == 200 {
                return 1;
            }
            self.assert_refused(&refusal(answer).await);
            refusals.send_modify(|count| *count += 1);
            0
        };
        let releasing = async {
            let all_wait = async {
                while self.bench.provider.held() + *refusals.borrow() < CALLERS {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            patiently(all_wait, || format!("{} of {CALLERS} were refused", *refusals.borrow())).await;
            self.bench.provider.release();
        };
        let began = now_ms();
        let (accepted, ()) = tokio::join!(join_all((0..CALLERS).map(calls)), releasing);
        let accepted: u64 = accepted.into_iter().sum();
        let rows = self.rows().await;
        assert_eq!(u64::try_from(rows.len()).unwrap(), accepted, "{rows:?}");
        let window = self.limited.window;
        for number in [began, now_ms()].map(|ms| window.of(ms)) {
            let within: Vec<_> = rows.iter().filter(|row| window.of(row.started_ms) == number).collect();
            let reserved: u64 = within.iter().map(|row| (self.limited.reserved)(row)).sum();
            assert!(reserved <= self.limited.limit, "{reserved} of {} were reserved at once", self.limited.limit);
        }
        if window.of(began) == window.of(now_ms()) {
            let one = self.largest(&rows);
            assert_eq!(accepted, self.limited.limit / one, "each may use {one}: {}", self.limited.name);
        }
    }

    /// Many ask for all sorts of things, and leave, and fail.
    async fn storm(&self, rng: &mut fastrand::Rng) {
        let half = |rng: &mut fastrand::Rng| Load::of(self.bench, self.key, STORM_KINDS, CALLERS / 2, rng);
        let loads = [half(rng), half(rng)];
        for (load, backend) in loads.iter().zip(self.backends) {
            load.turn_to(backend.service());
        }
        tokio::join!(loads[0].goes_on(STORM / 2), loads[1].goes_on(STORM / 2));
        let mut seen = Vec::new();
        for load in loads {
            seen.extend(load.end().await);
        }
        for one in &seen {
            match &one.end {
                End::Refused(refusal) if refusal.status == 502 => assert_eq!(one.kind, Kind::Unlucky, "{one:?}"),
                End::Refused(_) => self.assert_refused(&one.end),
                End::Whole | End::Left => {}
                end => panic!("{end:?}"),
            }
        }
        let rows = self.rows().await;
        for (number, used) in charged(&rows, self.limited.window, self.limited.charged) {
            assert!(used <= self.limited.limit, "{used} in the window {number}");
        }
    }

    /// What the counters say agrees with the ledger, once all is settled in both.
    async fn what_was_not_used_is_given_back(&self) {
        let mut disagreement = String::new();
        let agreeing = async {
            while let Err(how) = self.agree().await {
                disagreement = how;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let agreed = tokio::time::timeout(goblin_tests::patience::PATIENCE, agreeing).await;
        assert!(agreed.is_ok(), "{disagreement}");
    }

    /// Asks once more: what is left after it, or that nothing is, must be what the ledger leaves.
    async fn agree(&self) -> Result<(), String> {
        let client = goblin_tests::http_client::new();
        let body = self.bench.provider.ask("Hello", json!({"max_tokens": MAX_TOKENS}));
        let began = now_ms();
        let answer = chat(&client, &self.backends[0], self.key, &body).send().await.unwrap();
        let (id, window) = (id_of(&answer), self.limited.window);
        let limit = self.limited.limit;
        if answer.status() == 200 {
            let left = left(&answer, self.limited.name).unwrap_or_else(|| panic!("{:?}", answer.headers()));
            answer.text().await.unwrap();
            let rows = self.rows().await;
            let own = rows.iter().find(|row| row.request_id == id).expect("its row");
            let others: u64 = rows
                .iter()
                .filter(|row| row.request_id != id && window.of(row.started_ms) == window.of(own.started_ms))
                .map(|row| (self.limited.charged)(row).expect("it is settled"))
                .sum();
            let reserved = (self.limited.reserved)(own);
            let told = format!("{}: {left} left of {limit}, {others} used, {reserved} reserved", self.limited.name);
            let expected = limit.saturating_sub(others + reserved) / self.limited.unit;
            return if left == expected { Ok(()) } else { Err(told) };
        }
        let end = refusal(answer).await;
        self.assert_refused(&end);
        let rows = self.rows().await;
        let number = window.of(began);
        if number != window.of(now_ms()) {
            return Err("the window ended meanwhile".to_owned());
        }
        let used = charged(&rows, window, self.limited.charged).remove(&number).unwrap_or_default();
        let one = self.largest(&rows);
        if used + one > limit { Ok(()) } else { Err(format!("{end:?}, though {used} are used and {one} are wanted")) }
    }

    fn assert_refused(&self, end: &End) {
        let End::Refused(refusal) = end else { panic!("{end:?}") };
        let logs = || self.backends.each_ref().map(|backend| backend.process().log().tail(20)).concat();
        assert_eq!((refusal.status, refusal.code.as_str()), self.limited.refused, "{refusal:?}\n{}", logs());
    }

    /// The most that one request reserves.
    fn largest(&self, rows: &[LedgerRow]) -> u64 {
        rows.iter().map(self.limited.reserved).max().expect("somebody was accepted")
    }

    /// The key's rows, all settled.
    async fn rows(&self) -> Vec<LedgerRow> {
        // What stands between the two `_` of a key is its id.
        let id = self.key.split('_').nth(1);
        let mut rows = Books::settled(self.bench).await.rows;
        rows.retain(|row| row.key_id.as_deref() == id);
        rows
    }
}
