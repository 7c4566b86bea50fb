//! Limits that are counted in Redis, exactly across instances: one round trip per reservation.
//!
//! One server (or one primary with replicas), not a cluster: the counters of a request are taken together. It should not
//! evict (`maxmemory-policy noeviction`). Counters that are not there, in a new window or because Redis lost its data,
//! begin with what the ledger says. Counts are exact up to 2^53.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{
    Client, IntoConnectionInfo as _, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use super::{
    counters::{Counter, counters, over, reserved},
    settling::{Pending, Settle, Settling},
};
use crate::{
    monitoring::{Statement, StoreWatch, metrics::Metrics},
    ports::{Amounts, Health, Ledger, LimitState, Limits, NotReserved, Reservation, StoreError},
};

/// For how long a reservation that nobody settles is known, beyond the longest request: after that its counters keep
/// what was reserved, as its row in the ledger does.
const RESERVATION_MS: u64 = 3_600_000;

/// For how long it is known that it was settled, so that a reservation that arrives late is refused.
const SETTLED_MS: u64 = 120_000;

/// A connection over which nothing was acknowledged for so long is broken: its peer may be gone without a word.
const GONE: Duration = Duration::from_secs(10);

/// Pauses between attempts to connect. Whoever waits meanwhile waits no longer than he would anyway.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Both scripts, and the question whether anybody is there.
const EVALSHA: Statement = Statement::new("EVALSHA", "limits");
const PING: Statement = Statement::new("PING", "server");

/// What all keys begin with.
const PREFIX: &str = "goblin:limits";

/// Counts in a database of Redis.
pub(crate) struct RedisLimits {
    server: Arc<Server>,
    settling: Settling,
    ledger: Arc<dyn Ledger>,
}

struct Server {
    client: Client,
    connection: ConnectionManager,
    timeout: Duration,
    reserve: Script,
    settle: Script,
    watch: StoreWatch,
}

/// What the script says of a reservation.
enum Verdict {
    Reserved(Vec<u64>),
    Over(Vec<u64>),
    Released,
    Unseeded { epoch: String, begins_for: Duration },
}

/// What counters that are not there begin with, and the epoch in which that was found.
struct Seeds {
    epoch: String,
    counts: Vec<u64>,
}

impl RedisLimits {
    /// Counts at `redis://…` (or `rediss://…`, by TLS), which need not be there yet. Nothing that is asked takes longer
    /// than `timeout`; neither must it take longer from a reservation to its row in the ledger. Must be called inside a
    /// tokio runtime.
    pub(crate) fn new(
        url: &str,
        timeout: Duration,
        ledger: Arc<dyn Ledger>,
        metrics: Option<Metrics>,
    ) -> Result<Self, RedisError> {
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(GONE);
        let client = Client::open(url.into_connection_info()?.set_tcp_settings(tcp))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_min_delay(FIRST_PAUSE)
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(usize::MAX);
        let server = Arc::new(Server {
            connection: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            client,
            timeout,
            reserve: Script::new(include_str!("reserve.lua")),
            settle: Script::new(include_str!("settle.lua")),
            watch: StoreWatch::new("redis", metrics),
        });
        Ok(Self { settling: Settling::start(server.clone()), server, ledger })
    }

    async fn seeds(&self, epoch: String, counters: &[Counter], at_ms: u64) -> Result<Seeds, StoreError> {
        let mut counts = Vec::with_capacity(counters.len());
        for counter in counters {
            counts.push(self.ledger.charged(&counter.subject, counter.quota, at_ms).await?);
        }
        Ok(Seeds { epoch, counts })
    }

    async fn reserve_seeded(
        &self,
        reservation: &Reservation,
        counters: &[Counter],
    ) -> Result<Vec<LimitState>, NotReserved> {
        let mut seeds = None;
        loop {
            let pending = Pending::new(&self.settling, reservation);
            let verdict = self.server.reserve(reservation, counters, seeds.as_ref()).await?;
            pending.known();
            match verdict {
                Verdict::Reserved(used) => return Ok(reserved(counters, &used)),
                Verdict::Over(used) => return Err(over(counters, &used)),
                Verdict::Released => {
                    return Err(
                        StoreError::Unavailable("the reservation was released before it was made".into()).into()
                    );
                }
                Verdict::Unseeded { epoch, begins_for } => {
                    tokio::time::sleep(begins_for).await;
                    seeds = Some(self.seeds(epoch, counters, reservation.at_ms).await?);
                }
            }
        }
    }
}

#[async_trait]
impl Limits for RedisLimits {
    async fn reserve(&self, reservation: &Reservation) -> Result<Vec<LimitState>, NotReserved> {
        let counters = counters(reservation);
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        match tokio::time::timeout(self.server.timeout, self.reserve_seeded(reservation, &counters)).await {
            Ok(done) => done,
            Err(late) => Err(StoreError::Unavailable(late.into()).into()),
        }
    }

    fn settle(&self, reservation: &Reservation, used: Amounts) {
        self.settling.settle(reservation, used);
    }

    async fn flush(&self, bound: Duration) -> usize {
        self.settling.flush(bound).await
    }
}

#[async_trait]
impl Health for RedisLimits {
    async fn check(&self) -> Result<(), StoreError> {
        let mut connection = self.server.connection.clone();
        let ping = redis::cmd("PING");
        // The connection is tried again and again, and does not say why it cannot be made: another one does.
        let connecting = self.server.client.get_multiplexed_async_connection();
        let explanation = Box::pin(async {
            tokio::time::sleep(self.server.timeout / 2).await;
            match connecting.await {
                Ok(_) => std::future::pending().await,
                Err(error) => Err(error),
            }
        });
        self.server
            .bounded(PING, async {
                tokio::select! {
                    biased;
                    answer = ping.query_async::<()>(&mut connection) => answer,
                    error = explanation => error,
                }
            })
            .await
    }
}

fn reservation_key(reservation: &Reservation) -> String {
    format!("{PREFIX}:reservation:{:032x}", u128::from_be_bytes(reservation.opening.0))
}

fn counter_key(counter: &Counter) -> String {
    format!("{PREFIX}:{}:{}:{}", counter.quota.as_str(), counter.window.start, counter.subject_key())
}

impl Server {
    async fn bounded<T>(
        &self,
        statement: Statement,
        work: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, StoreError> {
        let work = async {
            match tokio::time::timeout(self.timeout, work).await {
                Ok(done) => done.map_err(store_error),
                Err(late) => Err(StoreError::Unavailable(late.into())),
            }
        };
        self.watch.watch(statement, work).await
    }

    async fn reserve(
        &self,
        reservation: &Reservation,
        counters: &[Counter],
        seeds: Option<&Seeds>,
    ) -> Result<Verdict, StoreError> {
        let mut call = self.reserve.key(reservation_key(reservation));
        call.key(format!("{PREFIX}:epoch"));
        call.arg(RESERVATION_MS).arg(millis(self.timeout)).arg(seeds.map_or("", |seeds| &seeds.epoch));
        for (place, counter) in counters.iter().enumerate() {
            let seed = seeds.and_then(|seeds| seeds.counts.get(place)).map(u64::to_string);
            call.key(counter_key(counter));
            call.arg(counter.amount).arg(counter.limit).arg(seed.unwrap_or_default()).arg(counter.keep_ms);
        }
        let mut connection = self.connection.clone();
        let answer: Vec<String> = self.bounded(EVALSHA, call.invoke_async(&mut connection)).await?;
        verdict(&answer, counters.len()).ok_or(StoreError::Corrupt("an unknown verdict on a reservation"))
    }
}

/// Reads the script's answer; `None`: it is not one.
fn verdict(answer: &[String], counters: usize) -> Option<Verdict> {
    let (word, rest) = answer.split_first()?;
    let used = || {
        let used: Option<Vec<u64>> = rest.iter().map(|count| count.parse().ok()).collect();
        used.filter(|used| used.len() == counters)
    };
    match word.as_str() {
        "reserved" => Some(Verdict::Reserved(used()?)),
        "over" => Some(Verdict::Over(used()?)),
        "released" => Some(Verdict::Released),
        "unseeded" => {
            let begins_for = Duration::from_millis(rest.get(1)?.parse().ok()?);
            Some(Verdict::Unseeded { epoch: rest.first()?.clone(), begins_for })
        }
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Settle for Server {
    async fn settle_now(&self, reservation: &Reservation, used: Amounts) -> Result<(), StoreError> {
        let mut call = self.settle.key(reservation_key(reservation));
        call.arg(SETTLED_MS);
        for counter in counters(reservation) {
            call.key(counter_key(&counter)).arg(counter.change(used));
        }
        let mut connection = self.connection.clone();
        self.bounded(EVALSHA, call.invoke_async(&mut connection)).await
    }

    /// Redis forgets by itself.
    async fn tidy_up(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What an error means to those who asked. <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
fn store_error(error: RedisError) -> StoreError {
    // Loading, read-only after a failover, busy with a script, without its primary: it passes.
    const PASSING: [&str; 8] =
        ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "MISCONF", "NOREPLICAS"];
    match error.code() {
        Some("OOM") => StoreError::Full(error.into()),
        Some(code) if !PASSING.contains(&code) => StoreError::Refused(error.into()),
        _ => StoreError::Unavailable(error.into()),
    }
}
