//! The Durable Object of one API key: it alone counts that key's requests, so that the count is exact.

use std::{cell::Cell, time::Duration};

use worker::{DurableObject, Env, Request, Response, Result, State, Storage, durable_object};

use super::{now, unix_millis, variable};
use crate::{
    admit::{IDLE_US, KeyBucket, KeyLimitConfig, Waking, to_text},
    config::Variables,
};

/// One row: the theoretical arrival time, in microseconds since 1970.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS bucket (id INTEGER PRIMARY KEY CHECK (id = 0), tat INTEGER NOT NULL)";
const READ: &str = "SELECT tat FROM bucket";
const WRITE: &str = "INSERT INTO bucket (id, tat) VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET tat = excluded.tat";

/// One key's limit. The class that wrangler.toml names.
#[durable_object(alarm)]
pub struct KeyLimit {
    state: State,
    config: Option<KeyLimitConfig>,
    /// What is stored, once it was read.
    bucket: Cell<Option<KeyBucket>>,
    /// Whether the alarm that cleans up is set.
    has_alarm: Cell<bool>,
}

impl DurableObject for KeyLimit {
    fn new(state: State, env: Env) -> Self {
        let get = |name: &str| variable(&env, name);
        // Faults are the Worker's to tell, which reads the same variables with every request.
        let config = KeyLimitConfig::read(&Variables::new(&get), &mut Vec::new());
        Self { state, config, bucket: Cell::default(), has_alarm: Cell::default() }
    }

    /// Takes one request from the quota. The answer leaves only when the new state is on disk.
    async fn fetch(&self, _: Request) -> Result<Response> {
        let Some(KeyLimitConfig { policy, .. }) = self.config else {
            return Response::error("the limit is not set up", 500);
        };
        let storage = self.state.storage();
        let mut bucket = self.load(&storage)?;
        let (standing, changed) = bucket.take(&policy, micros());
        if let Some(tat) = changed {
            storage.sql().exec(WRITE, vec![i64::try_from(tat).unwrap_or(i64::MAX).into()])?;
            self.bucket.set(Some(bucket));
        }
        if !self.has_alarm.get() {
            // What cannot be cleaned up later is no reason to refuse anybody now; the next request tries again.
            self.has_alarm.set(ensure_alarm(&storage).await.is_ok());
        }
        let response = Response::empty()?;
        response.headers().set("x-standing", &to_text(&standing))?;
        Ok(response)
    }

    /// An idle key leaves nothing behind.
    async fn alarm(&self) -> Result<Response> {
        let storage = self.state.storage();
        let bucket = self.load(&storage)?;
        let waking = self.config.map_or(Waking::Again(IDLE_US), |config| bucket.wake(&config.policy, micros()));
        match waking {
            Waking::Again(after) => storage.set_alarm(Duration::from_micros(after)).await?,
            Waking::Forget => {
                self.bucket.set(None);
                self.has_alarm.set(false);
                storage.delete_all().await?;
            }
        }
        Response::empty()
    }
}

async fn ensure_alarm(storage: &Storage) -> Result<()> {
    if storage.get_alarm().await?.is_none() {
        storage.set_alarm(Duration::from_micros(IDLE_US)).await?;
    }
    Ok(())
}

impl KeyLimit {
    fn load(&self, storage: &Storage) -> Result<KeyBucket> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        storage.sql().exec(TABLE, None)?;
        let rows: Vec<Row> = storage.sql().exec(READ, None)?.to_array()?;
        let bucket = KeyBucket::restored(rows.first().map(|row| unix_millis(row.tat)));
        self.bucket.set(Some(bucket));
        Ok(bucket)
    }
}

#[derive(serde::Deserialize)]
struct Row {
    /// JavaScript knows no other number; below 2^53 it is exact.
    tat: f64,
}

fn micros() -> u64 {
    unix_millis(now()) * 1_000
}
