//! A real Redis for tests, on loopback, which keeps nothing beyond its end unless it is told to.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, OnceCell},
};

use crate::server::{BOUND, Launch, NotStarted, PAUSE, Tethered, free_port, on_path};

/// How to get it.
pub const HINT: &str = "Redis is missing: on Debian `apt-get install --no-install-recommends redis-server` brings it";

/// Databases of one server; each test takes one.
const DATABASES: u32 = 4_096;

/// A running Redis, or one that was stopped. Dropping it ends it.
pub struct Redis {
    program: PathBuf,
    port: u16,
    durable: bool,
    databases: AtomicU32,
    /// None while it is stopped.
    server: Mutex<Option<Tethered>>,
    folder: TempDir,
}

impl Redis {
    /// The installed one.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        on_path("redis-server")
    }

    /// The one that all tests of this process share, each with a database of its own. It is never stopped.
    pub async fn shared() -> Result<&'static Self, NotStarted> {
        static SHARED: OnceCell<Redis> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts one that forgets everything when it is stopped.
    pub async fn start() -> Result<Self, NotStarted> {
        Self::start_as(false).await
    }

    /// Starts one that keeps what it confirmed (`appendonly`, written at once).
    pub async fn start_durable() -> Result<Self, NotStarted> {
        Self::start_as(true).await
    }

    async fn start_as(durable: bool) -> Result<Self, NotStarted> {
        let program = Self::installed().ok_or(NotStarted::Missing(HINT))?;
        let folder = tempfile::Builder::new().prefix("goblin-redis-").tempdir().context("no temporary folder")?;
        let port = free_port()?;
        let server = Self { program, port, durable, databases: AtomicU32::new(0), server: Mutex::default(), folder };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts it after it was stopped, on the same port; returns when it takes commands.
    pub async fn start_again(&self) -> Result<()> {
        let mut place = self.server.lock().await;
        if place.is_some() {
            bail!("Redis runs already");
        }
        let durable = if self.durable { "yes" } else { "no" };
        let (port, databases) = (self.port.to_string(), DATABASES.to_string());
        let folder = self.folder.path().display().to_string();
        let arguments = [
            ["--bind", "127.0.0.1"],
            ["--port", &port],
            ["--dir", &folder],
            ["--databases", &databases],
            ["--save", ""],
            ["--appendonly", durable],
            ["--appendfsync", "always"],
        ];
        let launch = Launch {
            name: "Redis",
            program: &self.program,
            arguments: arguments.into_iter().flatten().map(str::to_owned).collect(),
            environment: Vec::new(),
            identity: None,
            last_signal: Signal::SIGKILL,
            folder: self.folder.path(),
        };
        let mut server = Tethered::start(launch)?;
        let ready = async {
            while !self.ask("PING").await.is_ok_and(|answer| answer.starts_with("+PONG")) {
                if let Some(status) = server.ended()? {
                    bail!("Redis ended ({status}):\n{}", server.log_tail());
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        };
        match tokio::time::timeout(BOUND, ready).await {
            Ok(ready) => ready?,
            Err(_) => bail!("Redis takes no commands:\n{}", server.log_tail()),
        }
        *place = Some(server);
        Ok(())
    }

    /// One command without blanks in its arguments, and the beginning of its answer, as they are sent.
    async fn ask(&self, command: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut answer = [0; 1024];
        let reading = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer));
        let length = reading.await??;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Stops it; a durable one keeps what it has.
    pub async fn stop(&self) -> Result<()> {
        let mut place = self.server.lock().await;
        let Some(server) = place.as_mut() else { bail!("Redis is stopped already") };
        server.end(Signal::SIGTERM, BOUND).await?;
        *place = None;
        Ok(())
    }

    /// Makes it answer nothing, with its connections open, until [`Self::thaw`].
    pub async fn freeze(&self) {
        self.signal(Signal::SIGSTOP).await;
    }

    /// Makes it go on.
    pub async fn thaw(&self) {
        self.signal(Signal::SIGCONT).await;
    }

    async fn signal(&self, signal: Signal) {
        if let Some(server) = self.server.lock().await.as_ref() {
            server.signal(signal);
        }
    }

    /// URL of an empty database that nobody else is given.
    pub fn database(&self) -> Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        if number >= DATABASES {
            bail!("all {DATABASES} databases of this Redis are taken");
        }
        Ok(format!("redis://127.0.0.1:{}/{number}", self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::or_skip;

    #[tokio::test]
    async fn only_a_durable_one_keeps_anything() {
        for (redis, kept) in [(Redis::start().await, false), (Redis::start_durable().await, true)] {
            let Some(redis) = or_skip("only_a_durable_one_keeps_anything", redis) else { return };
            assert_ne!(redis.database().unwrap(), redis.database().unwrap());
            assert_eq!(redis.ask("SET word durable").await.unwrap(), "+OK\r\n");
            redis.stop().await.unwrap();
            redis.ask("GET word").await.unwrap_err();
            redis.start_again().await.unwrap();
            assert_eq!(redis.ask("GET word").await.unwrap().contains("durable"), kept);
            redis.freeze().await;
            redis.ask("PING").await.unwrap_err();
            redis.thaw().await;
            assert_eq!(redis.ask("PING").await.unwrap(), "+PONG\r\n");
        }
    }
}
