//! What a store really holds, read from its tables by SQL: tests of the ledger do not take the product's own word.
//!
//! A row comes as one JSON text, which both databases can make, so that one type reads both.

mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

pub use self::rows::{ConversationRow, LedgerRow, TurnRow};

/// How a URL of SQLite begins.
const SQLITE: &str = "sqlite:";

/// A connection of our own to a store.
pub struct LedgerReader {
    connection: Connection,
    /// The copy that is read, where it is one.
    _copy: Option<TempDir>,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The file of a SQLite store's URL; `None`: it is no such URL.
#[must_use]
pub fn sqlite_file(store_url: &str) -> Option<PathBuf> {
    store_url.strip_prefix(SQLITE).map(PathBuf::from)
}

impl LedgerReader {
    /// Connects to the store at `store_url`, beside whoever serves from it.
    pub async fn open(store_url: &str) -> Result<Self> {
        let connection = if sqlite_file(store_url).is_some() {
            Connection::Sqlite(sqlite(store_url).await?)
        } else {
            Connection::Postgres(PgConnection::connect(store_url).await.context("PostgreSQL does not answer")?)
        };
        Ok(Self { connection, _copy: None })
    }

    /// Reads a copy of a SQLite store that nobody serves from. Whoever opens the files themselves after a crash recovers
    /// them, and takes that from the product.
    pub async fn open_copy(store_url: &str) -> Result<Self> {
        let file = sqlite_file(store_url).context("only files can be copied")?;
        let folder = tempfile::tempdir()?;
        for suffix in ["", "-wal"] {
            let from = with_suffix(&file, suffix);
            if from.exists() {
                fs::copy(&from, folder.path().join(format!("copy.db{suffix}")))?;
            }
        }
        let url = format!("{SQLITE}{}", folder.path().join("copy.db").display());
        Ok(Self { connection: Connection::Sqlite(sqlite(&url).await?), _copy: Some(folder) })
    }

    /// The ledger, in the order of the requests' ids, which is about that of their beginnings.
    pub async fn rows(&mut self) -> Result<Vec<LedgerRow>> {
        self.read(rows::LEDGER).await
    }

    /// Turns of all conversations, in their order.
    pub async fn turns(&mut self) -> Result<Vec<TurnRow>> {
        self.read(rows::TURNS).await
    }

    /// All conversations.
    pub async fn conversations(&mut self) -> Result<Vec<ConversationRow>> {
        self.read(rows::CONVERSATIONS).await
    }

    /// Rows of the daily sums that are not what the settled rows of the ledger add up to, and sums that are missing;
    /// empty where all is well.
    pub async fn wrong_sums(&mut self) -> Result<Vec<String>> {
        self.texts(rows::WRONG_SUMS).await
    }

    /// What SQLite finds wrong with its file: `ok`, nothing.
    pub async fn integrity(&mut self) -> Result<String> {
        let Connection::Sqlite(connection) = &mut self.connection else { bail!("only SQLite checks itself") };
        Ok(sqlx::query_scalar::<_, String>("PRAGMA integrity_check").fetch_all(connection).await?.join("; "))
    }

    /// Takes the right to write for itself, and keeps it until [`Self::unlock`].
    pub async fn lock(&mut self) -> Result<()> {
        self.sqlite_command("BEGIN EXCLUSIVE").await
    }

    /// Gives it back.
    pub async fn unlock(&mut self) -> Result<()> {
        self.sqlite_command("ROLLBACK").await
    }

    async fn sqlite_command(&mut self, command: &'static str) -> Result<()> {
        let Connection::Sqlite(connection) = &mut self.connection else { bail!("only SQLite is locked as a whole") };
        sqlx::raw_sql(command).execute(connection).await?;
        Ok(())
    }

    /// Ends the connection, and returns when it is gone.
    pub async fn close(self) -> Result<()> {
        match self.connection {
            Connection::Sqlite(connection) => connection.close().await?,
            Connection::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&mut self, query: rows::Query) -> Result<Vec<T>> {
        let texts = self.texts(query).await?;
        texts.iter().map(|text| serde_json::from_str(text).with_context(|| format!("in {text}"))).collect()
    }

    async fn texts(&mut self, query: rows::Query) -> Result<Vec<String>> {
        Ok(match &mut self.connection {
            Connection::Sqlite(connection) => sqlx::query_scalar(query.sqlite).fetch_all(connection).await?,
            Connection::Postgres(connection) => sqlx::query_scalar(query.postgres).fetch_all(connection).await?,
        })
    }
}

async fn sqlite(url: &str) -> Result<SqliteConnection> {
    // Never the one that changes how the file is written.
    let options = SqliteConnectOptions::from_str(url)?.journal_mode(SqliteJournalMode::Wal).create_if_missing(false);
    SqliteConnection::connect_with(&options).await.with_context(|| format!("{url} cannot be opened"))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
