//! What only SQLite does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use goblin_shared::{api::Api, request_id::RequestId};
use sqlx::{Connection as _, Row as _};

use super::Database;
use crate::{
    ports::{
        Amounts, Conversation, Ledger as _, LedgerEntry, LedgerOutcome, NotOpened, Owner, Quota, Settlement,
        StoreError, Subject, TokenCounts, UsageBy, UsageQuery,
    },
    store::tests::bench::OPENING,
    store::{OpenFailed, Place, Purpose, Settings, Stores, open, tests::Kept},
};

const NOW: u64 = 1_700_000_040_000;

fn settings(folder: &tempfile::TempDir) -> Settings {
    Settings {
        place: Place::Sqlite(folder.path().join("goblin.db")),
        connections: 4,
        timeout: Duration::from_millis(500),
        migrate: true,
        metrics: None,
    }
}

async fn serve(folder: &tempfile::TempDir) -> Stores {
    open(&settings(folder), Purpose::Serve).await.unwrap()
}

fn entry(number: u8) -> LedgerEntry {
    LedgerEntry {
        request_id: RequestId::new(NOW, &[number; 10]),
        opening: OPENING,
        started_ms: NOW,
        api: Api::ChatCompletions,
        stream: false,
        owner: Owner { tenant: "T".to_owned(), user: "U".to_owned() },
        key_id: Some("K".to_owned()),
        model_asked: "m".to_owned(),
        trace_id: None,
        conversation_id: None,
        reserved: Amounts { requests: 1, tokens: 100, nano_usd: 1_000 },
    }
}

fn settlement(number: u8) -> Settlement {
    Settlement {
        request_id: RequestId::new(NOW, &[number; 10]),
        opening: OPENING,
        outcome: LedgerOutcome::Completed,
        provider: Some("p".to_owned()),
        model: Some("m".to_owned()),
        attempts: 1,
        tokens: TokenCounts { prompt: 2, completion: 1, ..TokenCounts::default() },
        cost_nano_usd: Some(20),
        charged: Amounts { requests: 1, tokens: 3, nano_usd: 20 },
        duration_us: 1,
        first_content_us: None,
        error_code: None,
        turn: None,
    }
}

async fn rows(folder: &tempfile::TempDir) -> Vec<(Option<String>, i64)> {
    let database = Database::new(&folder.path().join("goblin.db"), 1, Duration::from_secs(1));
    let mut connection = database.own_connection().await.unwrap();
    let sql = "SELECT outcome, COUNT(*) AS n FROM ledger GROUP BY 1 ORDER BY 1";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn what_the_dead_left_open_is_interrupted_and_charged_what_was_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    for number in 0..3 {
        stores.ledger.open(entry(number)).await.unwrap();
    }
    stores.ledger.settle(settlement(0)).await.unwrap();
    assert!(matches!(open(&settings(&folder), Purpose::Serve).await, Err(OpenFailed::Locked { .. })), "served twice");
    let beside = open(&settings(&folder), Purpose::Command).await.unwrap();
    assert_eq!(rows(&folder).await, [(None, 2), (Some("completed".to_owned()), 1)], "a command interrupts nothing");
    drop((stores, beside));
    let stores = serve(&folder).await;
    assert_eq!(rows(&folder).await, [(Some("completed".to_owned()), 1), (Some("interrupted".to_owned()), 2)]);
    let day = u32::try_from(NOW / 86_400_000).unwrap();
    let query = UsageQuery { from_day: day, to_day: day, by: UsageBy::Key, key_id: None, user: None, tenant: None };
    let usage = stores.ledger.usage(&query).await.unwrap();
    assert_eq!(
        (usage[0].completed, usage[0].interrupted, usage[0].cost_nano_usd, usage[0].cost_unknown),
        (1, 2, 20, 2)
    );
    let subject = Subject::Tenant("T".to_owned());
    let charged = stores.ledger.charged(&subject, Quota::MonthlySpend, NOW).await.unwrap();
    assert_eq!(charged, 2_020);
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_no_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    stores.ledger.open(entry(1)).await.unwrap();
    let database = Database::new(&folder.path().join("goblin.db"), 1, Duration::from_secs(1));
    let mut other = database.own_connection().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let written = stores.ledger.settle(settlement(1));
    let begun = Instant::now();
    let refused = stores.ledger.open(entry(2)).await;
    assert!(matches!(refused, Err(NotOpened::Store(StoreError::Unavailable(_)))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    written.await.unwrap();
    stores.ledger.open(entry(3)).await.unwrap();
    assert_eq!(stores.ledger.flush(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(serve(&folder).await);
    let path = folder.path().join("goblin.db");
    let empty = Database::new(&path, 1, Duration::from_secs(1));
    let pages: u32 = sqlx::query_scalar("PRAGMA page_count").fetch_one(empty.pool()).await.unwrap();
    // As if the disk had room for a few pages more than the empty schema.
    let database = Arc::new(Database::with(&path, 2, Duration::from_millis(500), Some(pages + 20)));
    let ledger = super::SqliteLedger::serving(database).await.unwrap();
    let mut opened = 0;
    let full = loop {
        let mut entry = entry(0);
        let mut random = [7; 10];
        random[8..].copy_from_slice(&u16::to_be_bytes(opened));
        entry.request_id = RequestId::new(NOW, &random);
        entry.model_asked = "m".repeat(256);
        match ledger.open(entry).await {
            Ok(()) => opened += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, NotOpened::Store(StoreError::Full(_))), "{full:?}");
    assert!(opened > 10, "{opened}");
    assert_eq!(rows(&folder).await, [(None, i64::from(opened))]);
}

/// With nearly the most that can be asked for, as of a program that asks for far too long answers.
fn immense(number: u8) -> (LedgerEntry, Settlement) {
    let most = Amounts { requests: 1, tokens: u64::MAX, nano_usd: u64::MAX };
    let used = TokenCounts { prompt: u64::MAX, ..TokenCounts::default() };
    let settled = Settlement { cost_nano_usd: None, charged: most, tokens: used, ..settlement(number) };
    (LedgerEntry { reserved: most, ..entry(number) }, settled)
}

#[tokio::test]
async fn sums_of_immense_amounts_end_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goblin.db");
    let stores = serve(&folder).await;
    for number in 0..6 {
        let (entry, settled) = immense(number);
        stores.ledger.open(entry).await.unwrap();
        if number > 2 {
            stores.ledger.settle(settled).await.unwrap();
        }
    }
    // As after many such days.
    let database = Database::new(&path, 1, Duration::from_secs(1));
    let mut connection = database.own_connection().await.unwrap();
    let sql = "UPDATE usage_daily SET prompt_tokens = 1 << 62, charged_tokens = 1 << 62, charged_nano_usd = 1 << 62";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (entry, settled) = immense(6);
    stores.ledger.open(entry).await.unwrap();
    stores.ledger.settle(settled).await.unwrap();
    let key = Subject::Key("K".to_owned());
    for quota in [Quota::DailySpend, Quota::MonthlySpend] {
        assert_eq!(stores.ledger.charged(&key, quota, NOW).await.unwrap(), 1 << 62);
    }
    assert_eq!(stores.ledger.charged(&key, Quota::Tokens, NOW).await.unwrap(), 7 << 53);
    drop(stores);
    let stores = serve(&folder).await;
    assert_eq!(rows(&folder).await, [(Some("completed".to_owned()), 4), (Some("interrupted".to_owned()), 3)]);
    assert_eq!(stores.ledger.charged(&key, Quota::DailySpend, NOW).await.unwrap(), 1 << 62);
    let day = u32::try_from(NOW / 86_400_000).unwrap();
    let query = UsageQuery { from_day: day, to_day: day, by: UsageBy::Key, key_id: None, user: None, tenant: None };
    assert_eq!(stores.ledger.usage(&query).await.unwrap()[0].tokens.prompt, 1 << 62);
}

#[tokio::test]
async fn what_was_deleted_is_in_no_file_as_soon_as_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    let owner = Owner { tenant: "T".to_owned(), user: "U".to_owned() };
    let conversation = Conversation {
        id: "conv_1".to_owned(),
        title: Some("a word of mine".to_owned()),
        instructions: Some("a word of mine ".repeat(1_000)),
        created_ms: 1,
        updated_ms: 1,
        turns: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    let is_found = || {
        let mut files =
            std::fs::read_dir(folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.any(|bytes| bytes.windows(9).any(|part| part == b"a word of"))
    };
    stores.conversations.create(&owner, &conversation).await.unwrap();
    assert!(is_found());
    assert!(stores.conversations.delete(&owner, "conv_1").await.unwrap());
    assert!(!is_found());
    stores.conversations.create(&owner, &conversation).await.unwrap();
    let database = Database::new(&folder.path().join("goblin.db"), 1, Duration::from_secs(1));
    let mut reader = database.own_connection().await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM conversations").execute(&mut reader).await.unwrap();
    assert!(stores.conversations.delete(&owner, "conv_1").await.unwrap());
    assert!(is_found(), "who reads what was there before must still be able to");
    stores.ledger.open(entry(1)).await.expect("nobody else is held up by who reads");
    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    let forgotten = async {
        while is_found() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("it is still there");
    // Of a program that was killed between the deletion and that.
    stores.conversations.create(&owner, &conversation).await.unwrap();
    sqlx::query("DELETE FROM conversations").execute(&mut reader).await.unwrap();
    assert!(is_found());
    drop(stores);
    let _stores = serve(&folder).await;
    assert!(!is_found());
}

#[tokio::test]
async fn what_this_program_did_not_write_is_told_as_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    let database = Database::new(&folder.path().join("goblin.db"), 1, Duration::from_secs(1));
    let mut connection = database.own_connection().await.unwrap();
    for sql in [
        "INSERT INTO conversations (id, tenant, user_name, created_ms, updated_ms) VALUES ('c', 'T', 'U', -1, 1)",
        "INSERT INTO keys (id, secret_hash, name, tenant, user_name, scopes, created_ms, requests_per_minute) \
         VALUES ('K', zeroblob(32), '', '', '', '', 1, -5)",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    let owner = Owner { tenant: "T".to_owned(), user: "U".to_owned() };
    assert!(matches!(stores.conversations.get(&owner, "c").await, Err(StoreError::Corrupt(_))));
    assert!(matches!(stores.keys.find("K").await, Err(StoreError::Corrupt(_))), "a limit that is none");
}

/// Numbers that look random, the same every time.
fn draws() -> impl FnMut(u64) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

#[tokio::test]
async fn sums_of_days_are_those_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    let mut draw = draws();
    let mut written = Vec::new();
    for number in 0..1_000_u16 {
        let mut random = [1; 10];
        random[8..].copy_from_slice(&number.to_be_bytes());
        let request_id = RequestId::new(NOW, &random);
        let owner = Owner { tenant: ["", "T"][usize::from(draw(2) == 0)].to_owned(), user: format!("u{}", draw(3)) };
        let key_id = (draw(4) > 0).then(|| format!("k{}", draw(3)));
        let started_ms = NOW - draw(4) * 86_400_000 + draw(1_000);
        let opened = LedgerEntry { request_id, started_ms, owner, key_id, ..entry(0) };
        stores.ledger.open(opened).await.unwrap();
        if draw(10) == 0 {
            continue;
        }
        let provider = (draw(4) > 0).then(|| "p".to_owned());
        let settled = Settlement {
            request_id,
            opening: OPENING,
            outcome: [LedgerOutcome::Completed, LedgerOutcome::Failed, LedgerOutcome::Cancelled]
                [usize::try_from(draw(3)).unwrap()],
            model: provider.clone(),
            provider,
            tokens: TokenCounts {
                prompt: draw(1_000),
                completion: draw(1_000),
                cached: draw(100),
                cache_write: draw(50),
                reasoning: draw(20),
                estimated: draw(2) == 0,
            },
            cost_nano_usd: (draw(4) > 0).then(|| draw(1_000_000)),
            charged: Amounts { requests: 1, tokens: draw(1_000), nano_usd: draw(1_000_000) },
            ..settlement(0)
        };
        // Some twice, and not always the same.
        for _ in 0..=draw(2) {
            let cost_nano_usd = settled.cost_nano_usd.map(|cost| cost + draw(2));
            written.push(stores.ledger.settle(Settlement { cost_nano_usd, ..settled.clone() }));
        }
    }
    futures_util::future::try_join_all(written).await.unwrap();
    drop(stores);
    let _interrupted = serve(&folder).await;
    let database = Database::new(&folder.path().join("goblin.db"), 1, Duration::from_secs(1));
    let mut connection = database.own_connection().await.unwrap();
    macro_rules! of_the_rows {
        () => {
            "SELECT started_ms / 86400000, COALESCE(key_id, ''), tenant, user_name, COALESCE(provider, ''), \
             COALESCE(model, ''), outcome, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), \
             SUM(cache_write_tokens), SUM(reasoning_tokens), SUM(tokens_estimated), COALESCE(SUM(cost_nano_usd), 0), \
             COUNT(*) - COUNT(cost_nano_usd), SUM(charged_requests), SUM(charged_tokens), SUM(charged_nano_usd) \
             FROM ledger GROUP BY 1, 2, 3, 4, 5, 6, 7"
        };
    }
    for sql in [
        concat!("SELECT COUNT(*) FROM (", of_the_rows!(), " EXCEPT SELECT * FROM usage_daily)"),
        concat!("SELECT COUNT(*) FROM (SELECT * FROM usage_daily EXCEPT ", of_the_rows!(), ")"),
    ] {
        let others: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        assert_eq!(others, 0);
    }
    let days: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM usage_daily").fetch_one(&mut connection).await.unwrap();
    assert!(days > 300, "{days} sums are too few to show anything");
}

async fn kept(_: &str) -> Option<Kept> {
    let folder = tempfile::tempdir().unwrap();
    let stores = serve(&folder).await;
    Some(Kept {
        ledgers: [stores.ledger.clone(), stores.ledger.clone()],
        keys: stores.keys.clone(),
        conversations: stores.conversations.clone(),
        incidents: stores.incidents.clone(),
        slo_counts: stores.slo_counts.clone(),
        business: stores.business.clone(),
        _place: Box::new((stores, folder)),
    })
}

crate::store::tests::store_contract!(kept);
