//! PostgreSQL and Redis go away in the midst of traffic, and come back.

use goblin_tests::{backend::Backend, patience::patiently, postgres::Postgres, redis::Redis, server::NotStarted};

use super::{
    bench::Bench,
    drawn,
    figures::{Window, charged},
    invariants::Books,
    load::{ALL_KINDS, Kind, Load},
    seen::{End, Refusal, Seen},
};
use crate::suite::{Outcome, Suite, skip};

pub(crate) fn register(suite: &mut Suite) {
    suite.test(STOPPED, postgresql_is_stopped);
    suite.test(RESTARTED, redis_forgets);
}

const STOPPED: &str = "postgresql_that_stops_in_mid_load_refuses_clearly_and_loses_nothing";
const RESTARTED: &str = "redis_that_restarts_in_mid_load_refuses_clearly_and_passes_no_limit";

const CALLERS: usize = 8;
/// So many refusals show an outage, and so many answers its end.
const REFUSED: usize = 6;
const SERVED: usize = 20;

/// A server, or why the test cannot be run.
pub(crate) fn needed<T>(started: Result<T, NotStarted>) -> Result<T, Outcome> {
    started.map_err(|error| match error {
        NotStarted::Missing(hint) => skip(hint),
        NotStarted::Failed(error) => Outcome::Failed(format!("{error:#}")),
    })
}

fn is_unavailable(seen: &Seen) -> bool {
    matches!(&seen.end, End::Refused(refusal) if refusal.status == 503 && refusal.code == "store_unavailable")
}

fn is_whole(seen: &Seen) -> bool {
    seen.end == End::Whole
}

/// Whether the backend says of itself that it can serve.
async fn becomes_ready(backend: &Backend, ready: bool) {
    let url = format!("http://{}/readyz", backend.service());
    let client = goblin_tests::http_client::new();
    let told = async {
        while (client.get(&url).send().await.unwrap().status() == 200) != ready {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    patiently(told, || format!("/readyz does not become {ready}")).await;
}

async fn postgresql_is_stopped() -> Outcome {
    let postgres = match needed(Postgres::start().await) {
        Ok(postgres) => postgres,
        Err(outcome) => return outcome,
    };
    let mut rng = drawn::generator(STOPPED);
    let bench = Bench::over(postgres.database().await.unwrap()).await.with("GOBLIN_STORE__TIMEOUT", "1s");
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    let load = Load::of(&bench, &key, ALL_KINDS, CALLERS, &mut rng);
    load.turn_to(backend.service());
    load.sees(SERVED, "answers", is_whole).await;
    for crashes in [false, true] {
        if crashes {
            postgres.crash().await.unwrap();
        } else {
            postgres.stop().await.unwrap();
        }
        tokio::join!(load.sees(REFUSED, "refusals", is_unavailable), becomes_ready(&backend, false));
        postgres.start_again().await.unwrap();
        tokio::join!(load.sees(SERVED, "answers", is_whole), becomes_ready(&backend, true));
    }
    let seen = load.end().await;
    let books = Books::settled(&bench).await;
    books.assert_account_for(&seen, &bench.provider.traces(), false);
    assert!(books.rows.iter().all(|row| !row.is("interrupted")), "the backend lived all the time");
    for one in &seen {
        match &one.end {
            End::Refused(Refusal { status: 502, .. }) => assert_eq!(one.kind, Kind::Unlucky, "{one:?}"),
            End::Refused(refusal) => {
                assert!(is_unavailable(one) && refusal.retry_after.is_some_and(|seconds| seconds > 0), "{one:?}");
            }
            // Its turn may not be kept, and it is told.
            End::Failed(code) => assert_eq!((one.kind, code.as_str()), (Kind::Turn, "store_unavailable"), "{one:?}"),
            End::Broken => panic!("the backend lived all the time: {one:?}"),
            End::Whole | End::Left | End::Wrong(_) => {}
        }
    }
    backend.kill().await;
    Outcome::Passed
}

/// Requests in a minute of the key: more than are made before Redis is gone.
const LIMIT: u64 = 300;

async fn redis_forgets() -> Outcome {
    let (redis, postgres) = match (needed(Redis::start().await), needed(Postgres::shared().await)) {
        (Ok(redis), Ok(postgres)) => (redis, postgres),
        (Err(outcome), _) | (_, Err(outcome)) => return outcome,
    };
    let mut rng = drawn::generator(RESTARTED);
    let bench = Bench::over(postgres.database().await.unwrap())
        .await
        .with("GOBLIN_STORE__REDIS", redis.database().unwrap())
        .with("GOBLIN_STORE__TIMEOUT", "1s")
        .with("GOBLIN_LIMITS__COUNT_IN", "redis")
        .with("GOBLIN_LIMITS__KEY__REQUESTS_PER_MINUTE", LIMIT.to_string());
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    let load = Load::of(&bench, &key, &[Kind::Unary, Kind::Stream], CALLERS, &mut rng);
    load.turn_to(backend.service());
    load.sees(SERVED, "answers", is_whole).await;
    redis.stop().await.unwrap();
    load.sees(REFUSED, "refusals", is_unavailable).await;
    redis.start_again().await.unwrap();
    let is_over = |seen: &Seen| matches!(&seen.end, End::Refused(refusal) if refusal.status == 429);
    load.sees(REFUSED, "refusals by the limit", is_over).await;
    let seen = load.end().await;
    let books = Books::settled(&bench).await;
    books.assert_account_for(&seen, &bench.provider.traces(), false);
    for (minute, used) in charged(&books.rows, Window::Minute, |row| row.charged_requests) {
        assert!(used <= LIMIT, "{used} requests in minute {minute}");
    }
    for one in &seen {
        match &one.end {
            End::Refused(refusal) if refusal.status == 429 => {
                assert_eq!(refusal.code, "rate_limit_exceeded", "{one:?}");
                super::figures::assert_full(one, &books.rows, LIMIT);
            }
            End::Refused(refusal) => {
                assert!(is_unavailable(one) && refusal.retry_after.is_some_and(|seconds| seconds > 0), "{one:?}");
            }
            end => assert_eq!(*end, End::Whole, "{one:?}"),
        }
    }
    backend.kill().await;
    Outcome::Passed
}
