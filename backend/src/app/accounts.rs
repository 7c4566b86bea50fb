//! Puts together what requests are written down in, and what they are counted against.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::AppError;
use crate::{
    ambient::RandomIds,
    chat::{Accounts, Books, LimitPolicy},
    config::{Config, CountIn},
    monitoring::metrics::Metrics,
    ports::{Amounts, Clock, LimitSet, Limits, OpeningId, Reservation, Subject},
    store::{PostgresLimits, ProcessLimits, RedisLimits, Stores},
};

/// What requests are written down in, and counted against. Within the runtime.
pub(super) fn accounts(
    config: &Config,
    clock: &Arc<dyn Clock>,
    kept: Option<&Stores>,
    metrics: &Metrics,
) -> Result<Accounts, AppError> {
    let limits = &config.limits;
    let policy = LimitPolicy {
        key: limits.key,
        user: limits.user,
        tenant: limits.tenant,
        users: limits.users.clone(),
        tenants: limits.tenants.clone(),
    };
    let counts = Arc::new(metrics.clone());
    if kept.is_none() && policy.limits_nobody() {
        return Ok(Accounts::off(counts));
    }
    let ledger = kept.map(|kept| kept.ledger.clone());
    let books = Books {
        limits: counters(config, kept, metrics)?,
        ledger,
        policy,
        catalogue: config.catalogue.clone(),
        clock: clock.clone(),
        ids: Arc::new(RandomIds::new(clock.clone())),
    };
    Ok(Accounts::new(books, counts))
}

/// Where use is counted. The configuration's reader has seen to it that it is there.
fn counters(config: &Config, kept: Option<&Stores>, metrics: &Metrics) -> Result<Arc<dyn Limits>, AppError> {
    let ledger = kept.map(|kept| kept.ledger.clone());
    match (config.limits.count_in, ledger) {
        (CountIn::Redis, Some(ledger)) => {
            let url = config.store.redis.as_ref().map_or("", |url| url.expose_secret());
            let counted = RedisLimits::new(url, config.store.timeout, ledger, Some(metrics.clone()));
            let counted = counted.map_err(|_| AppError::Redis)?;
            let counted: Arc<dyn Limits> = Arc::new(counted);
            tokio::spawn(begin(counted.clone()));
            Ok(counted)
        }
        (CountIn::Postgres, Some(ledger)) => match kept.and_then(|kept| kept.postgres.clone()) {
            Some(database) => Ok(Arc::new(PostgresLimits::new(database, ledger))),
            None => Ok(Arc::new(ProcessLimits::new(Some(ledger)))),
        },
        (_, ledger) => Ok(Arc::new(ProcessLimits::new(ledger))),
    }
}

/// Makes an empty Redis begin to count now, and not with the first request, which would have to wait for it.
async fn begin(limits: Arc<dyn Limits>) {
    let everything = LimitSet { requests_per_minute: Some(u64::MAX), ..LimitSet::default() };
    let nothing = Reservation {
        opening: OpeningId([0; 16]),
        at_ms: 0,
        claims: vec![(Subject::Key(String::new()), everything)],
        amounts: Amounts::default(),
    };
    // If it cannot be reached, requests will be told so.
    if limits.reserve(&nothing).await.is_ok() {
        limits.settle(&nothing, Amounts::default());
    }
}
