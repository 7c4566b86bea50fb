//! What identity, limits and the ledger cost: the same backend with all of them on, by SQLite, and with none.

use anyhow::Result;
use goblin_tests::{api_key::create_api_key, backend::Backend, secret};
use tempfile::TempDir;

use super::{Pace, start_with};
use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

const CONNECTIONS: u32 = 16;

/// So much that the load never reaches it, as a decimal number of requests, tokens and dollars alike.
const PLENTY: &str = "1000000000";

/// Limits of all four kinds, and of all three levels.
const LIMITS: [&str; 4] =
    ["KEY__REQUESTS_PER_MINUTE", "KEY__TOKENS_PER_MINUTE", "USER__USD_PER_DAY", "TENANT__USD_PER_MONTH"];

/// A backend that wants a key, counts everything against limits, and writes everything down.
struct Accounting {
    backend: Backend,
    key: String,
    _store: TempDir,
}

impl Accounting {
    async fn start(origin: &Origin) -> Result<Self> {
        let (store, issuer) = (tempfile::tempdir()?, secret::fresh()?);
        let url = format!("sqlite:{}", store.path().join("goblin.db").display());
        let key = create_api_key(&issuer, &url, &["--user", "bench", "--tenant", "bench"]).await?;
        let mut env = vec![
            ("GOBLIN_AUTH__MODE".to_owned(), "required".to_owned()),
            ("GOBLIN_AUTH__ISSUER_SECRETS".to_owned(), issuer),
            ("GOBLIN_STORE__URL".to_owned(), url),
        ];
        env.extend(LIMITS.map(|limit| (format!("GOBLIN_LIMITS__{limit}"), PLENTY.to_owned())));
        Ok(Self { backend: start_with(origin, env).await?, key, _store: store })
    }
}

/// A table with the goals of 0.25 ms and 0.7.
pub(super) async fn measure(origin: &Origin, without: &Backend, pace: Pace) -> Result<String> {
    let with = Accounting::start(origin).await?;
    let targets =
        [(origin.address, None), (without.service(), None), (with.backend.service(), Some(with.key.as_str()))];
    let [mut medians, mut rates] = [(); 2].map(|()| [Rounds::default(), Rounds::default(), Rounds::default()]);
    let (mut added, mut share) = (Rounds::default(), Rounds::default());
    for _ in 0..pace.rounds {
        let (mut latency, mut rate) = ([0.0; 3], [0.0; 3]);
        for (index, (address, key)) in targets.into_iter().enumerate() {
            let key = Some(key.unwrap_or("sk-of-the-bench"));
            latency[index] = wrk::run(address, Load::Chat, key, 1, pace.round).await?.p50_ms;
            rate[index] = wrk::run(address, Load::Chat, key, CONNECTIONS, pace.round).await?.per_second;
            medians[index].push(latency[index]);
            rates[index].push(rate[index]);
        }
        added.push(latency[2] - latency[0]);
        share.push(rate[2] / rate[1]);
    }
    with.backend.kill().await;
    let row =
        |name: &str, index: usize| format!("| {name} | {} | {} |\n", medians[index].show(3), rates[index].show(0));
    Ok(format!(
        "| short unary chat | p50 in ms, 1 connection | requests/s, {CONNECTIONS} connections |\n|---|---|---|\n{}{}{}\
         | added by all (goal: at most 0.25) | {} | |\n| with, of without (goal: at least 0.7) | | {} |\n",
        row("upstream directly", 0),
        row("through the backend, without key, limits and ledger", 1),
        row("with all three, SQLite", 2),
        added.show(3),
        share.show(2)
    ))
}
