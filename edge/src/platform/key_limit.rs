//! The Durable Object of one API key: it alone counts that key's requests, so that the count is exact.

use std::cell::Cell;

use worker::{DurableObject, Env, Request, Response, Result, State, Storage, durable_object};

use super::{now, unix_millis};
use crate::{
    admit::{KeyLimitConfig, to_text},
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
    tat: Cell<Option<u64>>,
    /// Whether the alarm that cleans up is set.
    has_alarm: Cell<bool>,
}

impl DurableObject for KeyLimit {
    fn new(state: State, env: Env) -> Self {
        let get = |name: &str| env.var(name).ok().map(|value| value.to_string());
        // Faults are the Worker's to tell, which reads the same variables with every request.
        let config = KeyLimitConfig::read(&Variables::new(&get), &mut Vec::new());
        Self { state, config, tat: Cell::default(), has_alarm: Cell::default() }
    }

    /// Takes one request from the quota. The answer leaves only when the new state is on disk.
    async fn fetch(&self, _: Request) -> Result<Response> {
        let Some(KeyLimitConfig { policy, .. }) = self.config else {
            return Response::error("the limit is not set up", 500);
        };
        let storage = self.state.storage();
        let stored = self.load(&storage)?;
        let mut tat = stored;
        let standing = policy.take(&mut tat, micros());
        if standing.passes {
            storage.sql().exec(WRITE, vec![i64::try_from(tat).unwrap_or(i64::MAX).into()])?;
            self.tat.set(Some(tat));
        }
        if !self.has_alarm.replace(true) && storage.get_alarm().await?.is_none() {
            storage.set_alarm(standing.reset).await?;
        }
        let response = Response::empty()?;
        response.headers().set("x-standing", &to_text(&standing))?;
        Ok(response)
    }

    /// An idle key, whose whole burst is free again, leaves nothing behind.
    async fn alarm(&self) -> Result<Response> {
        let storage = self.state.storage();
        let (tat, now) = (self.load(&storage)?, micros());
        if tat > now {
            storage.set_alarm(std::time::Duration::from_micros(tat - now)).await?;
        } else {
            self.tat.set(None);
            self.has_alarm.set(false);
            storage.delete_all().await?;
        }
        Response::empty()
    }
}

impl KeyLimit {
    fn load(&self, storage: &Storage) -> Result<u64> {
        if let Some(tat) = self.tat.get() {
            return Ok(tat);
        }
        storage.sql().exec(TABLE, None)?;
        let rows: Vec<Row> = storage.sql().exec(READ, None)?.to_array()?;
        let tat = rows.first().map_or(0, |row| unix_millis(row.tat));
        self.tat.set(Some(tat));
        Ok(tat)
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
