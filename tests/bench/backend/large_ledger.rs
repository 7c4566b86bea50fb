//! A ledger of years: how long the start takes, and a day's use by key.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use goblin_tests::{api_key::create_api_key, backend::Backend, secret};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{Pace, start_with};
use crate::{canned::Origin, rounds::Rounds};

/// Keys, and days that their requests are spread over.
const KEYS: u32 = 1_000;
const DAYS: u32 = 365;

/// The first day, in days since 1970: 2025-01-01.
const FIRST_DAY: u32 = 20_089;
/// The one that is asked for.
const ASKED: &str = "2025-06-01";

/// A table with the goals of 2 s and 50 ms.
pub(super) async fn measure(origin: &Origin, pace: Pace) -> Result<String> {
    let (folder, issuer) = (tempfile::tempdir()?, secret::fresh()?);
    let path = folder.path().join("goblin.db");
    let url = format!("sqlite:{}", path.display());
    let key = create_api_key(&issuer, &url, &["--scopes", "admin"]).await?;
    let begun = Instant::now();
    fill(&path, pace.ledger_rows).await?;
    eprintln!("{} rows in {} s", pace.ledger_rows, begun.elapsed().as_secs());
    let size = std::fs::metadata(&path)?.len() / 1_000_000;
    let env = [
        ("GOBLIN_AUTH__MODE", "required".to_owned()),
        ("GOBLIN_STORE__URL", url),
        ("GOBLIN_AUTH__ISSUER_SECRETS", issuer),
    ];
    let (mut start, mut usage) = (Rounds::default(), Rounds::default());
    for _ in 0..pace.rounds {
        let begun = Instant::now();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let backend = start_with(origin, env).await?;
        start.push(begun.elapsed().as_secs_f64());
        for _ in 0..10 {
            usage.push(ask(&backend, &key).await?);
        }
        backend.kill().await;
    }
    Ok(format!(
        "| ledger of {} rows, {KEYS} keys, {DAYS} days, {size} MB | |\n|---|---|\n\
         | from start to listening, s (goal: less than 2) | {} |\n\
         | a day's use by key, at `/admin/usage`, ms (goal: less than 50) | {} |\n",
        pace.ledger_rows,
        start.show(2),
        usage.show(1)
    ))
}

/// Milliseconds of one question.
async fn ask(backend: &Backend, key: &str) -> Result<f64> {
    let url = format!("http://{}/admin/usage?from={ASKED}&to={ASKED}&by=key", backend.operations());
    let begun = Instant::now();
    let answer = goblin_tests::http_client::new().get(url).bearer_auth(key).send().await?.error_for_status()?;
    let told: serde_json::Value = answer.json().await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let rows = told["data"].as_array().context("no rows")?.len();
    ensure!(rows == KEYS as usize, "{rows} keys were used");
    Ok(took)
}

/// Settled requests, and their sums, as the ledger itself would have written them.
async fn fill(path: &Path, rows: u32) -> Result<()> {
    let mut connection = SqliteConnectOptions::new().filename(path).disable_statement_logging().connect().await?;
    let rows_sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
        INSERT INTO ledger (request_id, opening, started_ms, api, stream, tenant, user_name, key_id, model_asked, trace_id, \
        reserved_requests, reserved_tokens, reserved_nano_usd, outcome, provider, model, attempts, prompt_tokens, \
        completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, tokens_estimated, cost_nano_usd, \
        charged_requests, charged_tokens, charged_nano_usd, duration_us, first_content_us) \
        SELECT unhex(printf('%012x', t) || '7000' || printf('%016x', i)), randomblob(16), t, '/v1/chat/completions', i & 1, 'acme', \
        printf('user%03d', i % 100), printf('key%09d', i % ?2), 'gpt-4o-mini', hex(randomblob(16)), 1, 1500, 1200, \
        'completed', 'openai', 'gpt-4o-mini', 1, 1000, 300, 0, 0, 0, 0, 330000, 1, 1300, 330000, 900000, 300000 \
        FROM (SELECT i, (?3 * 86400000) + CAST(i AS INTEGER) * (?4 * 86400000) / ?1 AS t FROM n)";
    let sums_sql = "INSERT INTO usage_daily SELECT started_ms / 86400000, key_id, tenant, user_name, provider, model, outcome, \
        COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), 0, 0, 0, 0, SUM(cost_nano_usd), 0, SUM(charged_requests), \
        SUM(charged_tokens), SUM(charged_nano_usd) FROM ledger GROUP BY 1, 2, 3, 4, 5, 6, 7";
    sqlx::query(rows_sql).bind(rows).bind(KEYS).bind(FIRST_DAY).bind(DAYS).execute(&mut connection).await?;
    sqlx::query(sums_sql).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
