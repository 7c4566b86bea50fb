use super::*;
use crate::workspace;

/// A store as the product makes it, with a settled request and an open one.
async fn store(folder: &Path) -> (String, SqliteConnection) {
    let url = format!("{SQLITE}{}", folder.join("goblin.db").display());
    let options = SqliteConnectOptions::from_str(&url).unwrap().journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options.create_if_missing(true)).await.unwrap();
    let schema = fs::read_to_string(workspace::root().join("backend/migrations/sqlite/0001_begin.sql")).unwrap();
    let row = |id: u8, settled: &str| {
        let columns = "request_id, opening, started_ms, api, stream, tenant, user_name, model_asked, reserved_requests, \
             reserved_tokens, reserved_nano_usd, outcome, attempts, prompt_tokens, completion_tokens, cached_tokens, \
             cache_write_tokens, reasoning_tokens, tokens_estimated, charged_requests, charged_tokens, charged_nano_usd";
        let known = "zeroblob(16), 86400001, 'chat_completions', 1, '', 'ann', 'gpt', 1, 20, 30";
        format!("INSERT INTO ledger ({columns}) VALUES (x'{}', {known}, {settled});", hex::encode([id; 16]))
    };
    let open = row(2, &["NULL"; 11].join(", "));
    let settled = row(1, "'failed', 0, 3, 4, 0, 0, 0, 1, 1, 7, 9");
    let sums =
        "INSERT INTO usage_daily VALUES (1, '', '', 'ann', '', '', 'failed', 1, 3, 4, 0, 0, 0, 1, 0, 1, 1, 7, 9);";
    let turn = "INSERT INTO conversations (id, tenant, user_name, created_ms, updated_ms, turns) \
         VALUES ('conv', '', 'ann', 1, 1, 1); INSERT INTO turns VALUES ('conv', 1, zeroblob(16), 1, 'm', '[]', 1, 1);";
    let sql = [&schema, &open, &settled, sums, turn].concat();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    (url, connection)
}

#[tokio::test]
async fn a_store_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut writer) = store(folder.path()).await;
    for mut reader in [LedgerReader::open(&url).await.unwrap(), LedgerReader::open_copy(&url).await.unwrap()] {
        let rows = reader.rows().await.unwrap();
        let told: Vec<_> =
            rows.iter().map(|row| (row.request_id[..2].to_owned(), row.outcome.clone(), row.charged_tokens)).collect();
        assert_eq!(told, [("01".to_owned(), Some("failed".to_owned()), Some(7)), ("02".to_owned(), None, None)]);
        assert_eq!((rows[0].user.as_str(), rows[0].started_ms, rows[0].reserved_tokens), ("ann", 86_400_001, 20));
        let turn = TurnRow { conversation_id: "conv".to_owned(), number: 1, request_id: "0".repeat(32) };
        assert_eq!(reader.turns().await.unwrap(), [turn]);
        assert_eq!(reader.conversations().await.unwrap(), [ConversationRow { id: "conv".to_owned(), turns: 1 }]);
        assert_eq!(reader.wrong_sums().await.unwrap(), [""; 0]);
        assert_eq!(reader.integrity().await.unwrap(), "ok");
        reader.close().await.unwrap();
    }
    for (wrong, sides) in [
        ("UPDATE usage_daily SET charged_tokens = 8", &["kept", "recomputed"][..]),
        ("DELETE FROM usage_daily", &["recomputed"]),
        (
            "DELETE FROM ledger; INSERT INTO usage_daily SELECT 1, '', '', 'ann', '', '', 'failed', 1, 3, 4, 0, 0, 0, 1, 0, \
          1, 1, 7, 9",
            &["kept"],
        ),
    ] {
        sqlx::raw_sql(wrong).execute(&mut writer).await.unwrap();
        let mut reader = LedgerReader::open(&url).await.unwrap();
        let found = reader.wrong_sums().await.unwrap();
        let found: Vec<_> = found.iter().map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap()).collect();
        assert_eq!(found.iter().map(|found| found["side"].as_str().unwrap()).collect::<Vec<_>>(), sides, "{wrong}");
    }
}

#[tokio::test]
async fn who_locks_it_keeps_others_from_writing() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut writer) = store(folder.path()).await;
    sqlx::raw_sql("PRAGMA busy_timeout = 0").execute(&mut writer).await.unwrap();
    let mut reader = LedgerReader::open(&url).await.unwrap();
    reader.lock().await.unwrap();
    let write = || "UPDATE ledger SET user_name = 'bob'";
    let error = sqlx::raw_sql(write()).execute(&mut writer).await.unwrap_err().to_string();
    assert!(error.contains("locked"), "{error}");
    reader.unlock().await.unwrap();
    sqlx::raw_sql(write()).execute(&mut writer).await.unwrap();
    assert!(reader.rows().await.unwrap().iter().all(|row| row.user == "bob"));
}
