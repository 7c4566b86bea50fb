//! A ledger of years: how long the start takes, and a day's use by key.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

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

/// Figures of the business, of the last thirty days and of the whole year.
const FIGURES: [&str; 5] = ["users", "cost", "providers", "conversations", "tokens"];
const MONTH: &str = "2025-12-02";
const YEAR: &str = "2025-01-01";
const LAST: &str = "2025-12-31";
const SLOTS_OF_A_DAY: i64 = 144;

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
    let mut figures = FIGURES.map(|_| [Rounds::default(), Rounds::default()]);
    for _ in 0..pace.rounds {
        let begun = Instant::now();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let backend = start_with(origin, env).await?;
        start.push(begun.elapsed().as_secs_f64());
        for _ in 0..10 {
            usage.push(ask(&backend, &key).await?);
        }
        wait_until_added_up(&path).await?;
        for (figure, rounds) in FIGURES.into_iter().zip(&mut figures) {
            for (from, rounds) in [MONTH, YEAR].into_iter().zip(rounds) {
                for _ in 0..5 {
                    rounds.push(analyse(&backend, &key, figure, from).await?);
                }
            }
        }
        backend.kill().await;
    }
    let figures = FIGURES.into_iter().zip(&figures).fold(String::new(), |mut text, (figure, [month, year])| {
        let _ = writeln!(
            text,
            "| `/admin/analytics/{figure}` of 30 days, ms (goal: less than 50); of a year | {}; {} |",
            month.show(1),
            year.show(1)
        );
        text
    });
    Ok(format!(
        "| ledger of {} rows, {KEYS} keys, {DAYS} days, {size} MB | |\n|---|---|\n\
         | from start to listening, s (goal: less than 2) | {} |\n\
         | a day's use by key, at `/admin/usage`, ms (goal: less than 50) | {} |\n{figures}",
        pace.ledger_rows,
        start.show(2),
        usage.show(1)
    ))
}

/// Until the backend has added up the whole ledger, which it does beside all else.
async fn wait_until_added_up(path: &Path) -> Result<()> {
    let mut connection = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
    let last = i64::from(FIRST_DAY + DAYS) * SLOTS_OF_A_DAY;
    let begun = Instant::now();
    loop {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT next_slot FROM business_state").fetch_optional(&mut connection).await?;
        if next.is_some_and(|next| next >= last) {
            break;
        }
        ensure!(begun.elapsed() < Duration::from_mins(20), "the ledger is added up to {next:?} of {last}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    eprintln!("added up after {} s", begun.elapsed().as_secs());
    connection.close().await?;
    Ok(())
}

/// Milliseconds of one figure of the business.
async fn analyse(backend: &Backend, key: &str, figure: &str, from: &str) -> Result<f64> {
    let url = format!("http://{}/admin/analytics/{figure}?from={from}&to={LAST}", backend.operations());
    let begun = Instant::now();
    let answer = goblin_tests::http_client::new().get(url).bearer_auth(key).send().await?.error_for_status()?;
    answer.bytes().await?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
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
        INSERT INTO ledger (request_id, opening, started_ms, api, stream, tenant, user_name, key_id, model_asked, trace_id, conversation_id, \
        reserved_requests, reserved_tokens, reserved_nano_usd, outcome, provider, model, attempts, prompt_tokens, \
        completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, tokens_estimated, cost_nano_usd, \
        charged_requests, charged_tokens, charged_nano_usd, duration_us, first_content_us) \
        SELECT unhex(printf('%012x', t) || '7000' || printf('%016x', i)), randomblob(16), t, '/v1/chat/completions', i & 1, 'acme', \
        printf('user%03d', i % 100), printf('key%09d', i % ?2), 'gpt-4o-mini', hex(randomblob(16)), iif(i % 10 = 0, 'c' || (i / 50), NULL), 1, 1500, 1200, \
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
