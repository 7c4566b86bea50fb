//! Two instances on one PostgreSQL and one Redis, as they are run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use goblin_shared::{api::Api, request_id::RequestId};
use goblin_tests::{postgres::Postgres, redis::Redis, server::or_skip};

use super::bench::{NOW, amounts, key, limit, reservation};
use crate::{
    ports::{
        Amounts, Ledger, LedgerEntry, LedgerOutcome, Limits, NotReserved, Owner, Quota, Reservation, Settlement,
        StoreError, TokenCounts,
    },
    store::{Purpose, limits::RedisLimits, postgres::PostgresStores},
};

const LIMIT: u64 = 12_000;
const TOKENS: u64 = 10;
const CALLERS: usize = 64;

/// Longer than a busy machine needs from a reservation to its row.
const TIMEOUT: Duration = Duration::from_secs(2);

const PATIENCE: Duration = Duration::from_secs(30);

struct Instance {
    ledger: Arc<dyn Ledger>,
    limits: RedisLimits,
}

impl Instance {
    async fn open(postgres: &str, redis: &str) -> Self {
        let stores = PostgresStores::open(postgres, 8, PATIENCE, true, Purpose::Serve, None).await.unwrap();
        let ledger: Arc<dyn Ledger> = stores.ledger;
        Self { limits: RedisLimits::new(redis, TIMEOUT, ledger.clone(), None).unwrap(), ledger }
    }
}

/// One of its own for each reservation.
fn request_id(reservation: &Reservation) -> RequestId {
    let mut random = [0; 10];
    random.copy_from_slice(&reservation.opening.0[6..]);
    RequestId::new(NOW, &random)
}

fn entry(reservation: &Reservation) -> LedgerEntry {
    LedgerEntry {
        request_id: request_id(reservation),
        opening: reservation.opening,
        started_ms: reservation.at_ms,
        api: Api::ChatCompletions,
        stream: false,
        owner: Owner { tenant: String::new(), user: "U".to_owned() },
        key_id: Some("K".to_owned()),
        model_asked: "demo".to_owned(),
        trace_id: None,
        conversation_id: None,
        reserved: reservation.amounts,
    }
}

fn settlement(reservation: &Reservation, charged: Amounts) -> Settlement {
    Settlement {
        request_id: request_id(reservation),
        opening: reservation.opening,
        outcome: LedgerOutcome::Completed,
        provider: None,
        model: None,
        attempts: 1,
        tokens: TokenCounts::default(),
        cost_nano_usd: Some(charged.nano_usd),
        charged,
        duration_us: 1,
        first_content_us: None,
        error_code: None,
        turn: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_kept_to_the_last_token_although_redis_forgets_it_in_mid_load() {
    let test = "a_limit_is_kept_to_the_last_token_although_redis_forgets_it_in_mid_load";
    let Some(postgres) = or_skip(test, Postgres::shared().await) else { return };
    let Some(redis) = or_skip(test, Redis::start().await) else { return };
    let (database, counters) = (postgres.database().await.unwrap(), redis.database().unwrap());
    let instances = [Instance::open(&database, &counters).await, Instance::open(&database, &counters).await];
    let claims = [(key("K"), limit(Quota::DailySpend, LIMIT))];
    let (used, served) = (AtomicU64::new(0), AtomicU64::new(0));
    let caller = async |number: usize| {
        let Instance { ledger, limits } = &instances[number % 2];
        for round in 0.. {
            let reservation = reservation(&claims, TOKENS);
            match limits.reserve(&reservation).await {
                Ok(states) => assert!(states[0].used <= LIMIT, "{states:?}"),
                // While others hold the rest: all come to an end.
                Err(NotReserved::Over(state)) if state.used + TOKENS > LIMIT => return,
                Err(NotReserved::Store(StoreError::Unavailable(_))) => {
                    limits.settle(&reservation, Amounts::default());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            }
            ledger.open(entry(&reservation)).await.unwrap();
            served.fetch_add(1, Ordering::AcqRel);
            // Most use all of it, so that a limit that is passed is passed for good.
            let charged = if round % 4 == 0 { amounts(TOKENS / 2) } else { amounts(TOKENS) };
            used.fetch_add(charged.nano_usd, Ordering::AcqRel);
            limits.settle(&reservation, charged);
            ledger.settle(settlement(&reservation, charged));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let load = futures_util::future::join_all((0..CALLERS).map(caller));
    let story = async {
        while served.load(Ordering::Acquire) < 300 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        redis.stop().await.unwrap();
        redis.start_again().await.unwrap();
    };
    tokio::join!(load, story);
    for Instance { ledger, limits } in &instances {
        assert_eq!((limits.flush(PATIENCE).await, ledger.flush(PATIENCE).await), (0, 0));
    }
    let used = used.into_inner();
    assert!(used <= LIMIT, "{used} of {LIMIT} are used");
    let charged = instances[1].ledger.charged(&claims[0].0, Quota::DailySpend, NOW);
    let charged = tokio::time::timeout(PATIENCE, charged).await.unwrap().unwrap();
    assert_eq!(charged, used, "the ledger does not say what was used");
    assert!(served.into_inner() > 900, "hardly anybody was served");
}
