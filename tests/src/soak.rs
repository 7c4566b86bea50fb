//! The backend under mixed traffic for a while, with an upstream that fails and clients that leave; afterwards nothing
//! of it may be left behind: no memory, no socket, no exchange, no permit, and one line in the log for each request.

mod dialect;
mod ledger;
mod mix;
mod report;
mod traffic;
mod upstream;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{task::JoinSet, time::timeout};

pub use self::report::Report;
use self::{
    ledger::Ledger,
    mix::Ask,
    report::Found,
    traffic::Traffic,
    upstream::{KEYS, SoakUpstream},
};
use crate::{
    backend::{Backend, BackendOptions},
    process::LineSink,
    resources::{open_sockets, resident_bytes},
    signing_key,
    stack::{ANTHROPIC_KEY, provider, start_backend},
};

/// `max_concurrency` of each provider: few, so that a permit that is not given back is missed at the end.
const PERMITS: usize = 64;

/// `service.max_requests`: so few more than the permits of both that places that are not given back are missed too.
const PLACES: usize = 2 * PERMITS + 8;

/// Narrow where a leak would show, quick where the end would have to wait.
const SETTINGS: [(&str, &str); 15] = [
    // The signature is the edge's to make.
    ("GOBLIN_EDGE__SIGNATURE", "off"),
    ("GOBLIN_SERVICE__MAX_REQUESTS", "136"),
    ("GOBLIN_PROVIDERS__OPENAI__MAX_CONCURRENCY", "64"),
    ("GOBLIN_PROVIDERS__OPENAI__MAX_QUEUE", "16"),
    ("GOBLIN_PROVIDERS__OPENAI__QUEUE_TIMEOUT", "200ms"),
    ("GOBLIN_PROVIDERS__OPENAI__API_KEYS", "env:SOAK_FIRST_KEY=1,env:SOAK_SECOND_KEY=1"),
    ("SOAK_FIRST_KEY", KEYS[0]),
    ("SOAK_SECOND_KEY", KEYS[1]),
    ("GOBLIN_PROVIDERS__ANTHROPIC__MAX_CONCURRENCY", "64"),
    ("GOBLIN_PROVIDERS__ANTHROPIC__MAX_QUEUE", "16"),
    ("GOBLIN_PROVIDERS__ANTHROPIC__QUEUE_TIMEOUT", "200ms"),
    // Where a fifth of everything fails, five calls say little: three faults among them are no rarity.
    ("GOBLIN_BREAKER__MIN_CALLS", "20"),
    ("GOBLIN_BREAKER__OPEN_FOR", "200ms"),
    ("GOBLIN_BREAKER__OPEN_FOR_LIMIT", "1s"),
    ("GOBLIN_RETRIES__BASE_DELAY", "20ms"),
];

/// One of a hundred requests of a provider with two keys is far less than its share for either.
const LEAST_OF_KEY: usize = 100;

/// How long a request may go on when no new ones come: the slowest is cancelled or answered within some seconds.
const REQUEST_BOUND: Duration = Duration::from_mins(1);
/// How long the upstream's exchanges, the sockets and the lines of the log may outlive their requests. A client that
/// leaves is to be noticed within one second.
const AFTERMATH: Duration = Duration::from_secs(5);
/// How long the allocator may take to give memory back.
const MEMORY_BOUND: Duration = Duration::from_secs(20);
/// What resident memory may be above its level after the warm-up: allocators keep some of what they were given.
const MEMORY_ALLOWANCE: u64 = 16 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(50);

/// How much traffic.
#[derive(Clone, Copy, Debug)]
pub struct SoakOptions {
    /// How long traffic goes on after the warm-up.
    pub duration: Duration,
    /// Traffic of the same kind before it, after which memory has found its level.
    pub warm_up: Duration,
    /// Clients at a time; each sends one request after another.
    pub clients: usize,
    /// What each client waits between two requests.
    pub pause: Duration,
}

impl SoakOptions {
    /// As many clients as run into the provider's limit now and then.
    #[must_use]
    pub fn of(duration: Duration, clients: usize) -> Self {
        let warm_up = (duration / 5).clamp(Duration::from_secs(10), Duration::from_mins(2));
        Self { duration, warm_up, clients, pause: Duration::from_millis(10) }
    }

    /// For a test beside others on a small machine.
    #[must_use]
    pub fn short() -> Self {
        Self {
            duration: Duration::from_secs(8),
            warm_up: Duration::from_secs(5),
            clients: 48,
            pause: Duration::from_millis(150),
        }
    }
}

/// Runs the backend that is built beside the running program. An error means that nothing could be said; what was found
/// wrong stands in the report.
pub async fn run(options: SoakOptions) -> Result<Report> {
    let (upstream, ledger) = (SoakUpstream::start().await?, Arc::new(Ledger::default()));
    let backend = start(&upstream, &ledger).await?;
    let id = backend.process().id();
    let sockets_before = open_sockets(id);
    let mut report = Report::default();

    let traffic = Traffic::new(backend.service(), ledger.clone());
    traffic.drive(options.clients, options.warm_up, options.pause, REQUEST_BOUND).await;
    until(AFTERMATH, || upstream.open_exchanges() == 0).await;
    let level = resident_bytes(id);

    let started = Instant::now();
    let unended = traffic.drive(options.clients, options.duration, options.pause, REQUEST_BOUND).await;
    report.tell("traffic", format!("{} clients, {} s", options.clients, started.elapsed().as_secs()));
    report.check("requests that did not end", Found::at_most(unended, 0));
    until(AFTERMATH, || upstream.open_exchanges() == 0).await;
    report.check("exchanges left open at the upstream", Found::at_most(upstream.open_exchanges(), 0));

    report.check("connections kept to the upstream", Found::at_most(upstream.open_connections(), 2 * PLACES));
    let by_fallback = traffic.answered_by_fallback();
    report.check("answers by the last of a plan", Found::told(by_fallback > 0, by_fallback.to_string(), "at least 1"));
    keys(&upstream, &mut report);
    burst(&traffic, &upstream, &mut report).await;
    // Its connections would be the backend's sockets.
    drop(traffic);
    until(AFTERMATH, || ledger.is_balanced()).await;
    ledger.report(&mut report);

    upstream.close_connections();
    if let Some(before) = sockets_before {
        let sockets = || open_sockets(id).unwrap_or_default();
        until(AFTERMATH, || sockets() <= before).await;
        report.check("sockets, all idle connections closed", Found::at_most(sockets(), before));
    } else {
        report.tell("sockets", "not known here: they are counted in Linux's /proc");
    }
    memory(id, level, &mut report).await;

    // Graceful shutdown waits for every request, so that one that is left would be waited for.
    let ending = Instant::now();
    backend.terminate(AFTERMATH).await;
    let status = backend.process().exited().await;
    let found = format!("{status} after {} ms", ending.elapsed().as_millis());
    report.check("the end, when told to", Found::told(status.success(), found, "success within 5 s"));
    Ok(report)
}

async fn start(upstream: &SoakUpstream, ledger: &Arc<Ledger>) -> Result<Backend> {
    let lines = ledger.clone();
    let origin = format!("http://{}", upstream.address());
    let mut env = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    env.push(("GOBLIN_PROVIDERS__OPENAI__BASE_URL".to_owned(), format!("{origin}/v1")));
    env.extend(provider("ANTHROPIC", &origin, ANTHROPIC_KEY));
    let sink: LineSink = Arc::new(move |line| lines.read_line(line));
    let options = BackendOptions { env, sink: Some(sink), ..BackendOptions::default() };
    start_backend(&signing_key::fresh("soak")?, None, None, options).await.context("the backend does not start")
}

/// Whether both keys were used.
fn keys(upstream: &SoakUpstream, report: &mut Report) {
    let [first, second] = upstream.with_keys();
    let least = (first + second) / LEAST_OF_KEY;
    for (what, found) in [("requests with the first key", first), ("requests with the second key", second)] {
        report.check(what, Found::told(found > least, found.to_string(), format!("more than {least}")));
    }
}

/// As many requests of both providers at once as they have permits: each must get one, and a place.
async fn burst(traffic: &Traffic, upstream: &SoakUpstream, report: &mut Report) {
    let asks = [Ask::Chat, Ask::Messages];
    // The faults before may have opened breakers, which want to see that the providers work again.
    for ask in asks {
        let works = async {
            while traffic.send_ordinary(ask).await != Some(200) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if timeout(REQUEST_BOUND, works).await.is_err() {
            let found = format!("no answer to {ask:?}");
            return report.check("the providers, when they work again", Found::told(false, found, "answers"));
        }
    }
    let all = asks.len() * PERMITS;
    let mut requests = JoinSet::new();
    for ask in asks.repeat(PERMITS) {
        requests.spawn(traffic.send_held(ask));
    }
    until(AFTERMATH, || upstream.held() == all).await;
    report.check("requests at the upstream at once", Found::exactly(upstream.held(), all));
    upstream.release();
    let answers = requests.join_all().await;
    let answered = answers.iter().filter(|status| **status == Some(200)).count();
    report.check("of them answered", Found::exactly(answered, all));
}

async fn memory(id: u32, level: Option<u64>, report: &mut Report) {
    let Some(level) = level else {
        return report.tell("resident memory", "not known here: it is read from Linux's /proc");
    };
    let allowed = level + (level / 10).max(MEMORY_ALLOWANCE);
    let now = || resident_bytes(id).unwrap_or(u64::MAX);
    until(MEMORY_BOUND, || now() <= allowed).await;
    let (found, megabytes) = (now(), |bytes: u64| format!("{} MB", bytes / 1_000_000));
    report.tell("resident memory after the warm-up", megabytes(level));
    report.check(
        "resident memory at the end",
        Found::told(found <= allowed, megabytes(found), format!("at most {}", megabytes(allowed))),
    );
}

/// Waits until `is_so`, but no longer than `bound`.
async fn until(bound: Duration, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() && started.elapsed() < bound {
        tokio::time::sleep(PAUSE).await;
    }
}
