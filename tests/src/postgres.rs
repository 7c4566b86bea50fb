//! A real PostgreSQL for tests, as Debian packages it: a cluster of its own in a temporary folder, on loopback.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};
use tempfile::TempDir;
use tokio::{
    process::Command,
    sync::{Mutex, OnceCell},
};

use crate::server::{BOUND, Identity, Launch, NotStarted, PAUSE, Tethered, free_port, on_path};

/// How to get it.
pub const HINT: &str =
    "PostgreSQL is missing: on Debian `apt-get install --no-install-recommends postgresql` brings it";

/// Where Debian puts the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Whom it runs as when the tests are run by root, which it refuses.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Nothing is to survive the machine, so nothing waits for its disk.
const SETTINGS: [&str; 9] = [
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "shared_buffers=32MB",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
    "deadlock_timeout=200ms",
];

/// A running PostgreSQL, or one that was stopped. Dropping it ends it.
pub struct Postgres {
    programs: PathBuf,
    identity: Option<Identity>,
    port: u16,
    databases: AtomicU32,
    /// None while it is stopped.
    server: Mutex<Option<Tethered>>,
    folder: TempDir,
}

impl Postgres {
    /// The folder of the newest version that is installed.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        let folders = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut versions: Vec<_> = folders.filter_map(|folder| Some((version(&folder)?, folder.join("bin")))).collect();
        versions.sort();
        let elsewhere = || Some(on_path("initdb")?.parent()?.to_owned());
        let debian = versions.into_iter().rev().map(|(_, folder)| folder);
        debian.into_iter().find(|folder| folder.join("initdb").is_file()).or_else(elsewhere)
    }

    /// The one that all tests of this process share, each with a database of its own. It is never stopped.
    pub async fn shared() -> Result<&'static Self, NotStarted> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Makes a cluster and starts it.
    pub async fn start() -> Result<Self, NotStarted> {
        let programs = Self::installed().ok_or(NotStarted::Missing(HINT))?;
        let identity = identity()?;
        let folder = tempfile::Builder::new().prefix("goblin-postgres-").tempdir().context("no temporary folder")?;
        if let Some(Identity { user, group }) = identity {
            chown(folder.path(), Some(user), Some(group)).context("the folder could not be given away")?;
        }
        let port = free_port()?;
        let server = Self { programs, identity, port, databases: AtomicU32::new(0), server: Mutex::default(), folder };
        server.initialise().await?;
        server.start_again().await?;
        Ok(server)
    }

    async fn initialise(&self) -> Result<()> {
        let mut command = self.command("initdb");
        command.args(["--no-sync", "--auth=trust", "--username=goblin", "--encoding=UTF8", "--locale=C", "--pgdata"]);
        command.arg(self.data());
        if let Some(Identity { user, group }) = self.identity {
            command.uid(user).gid(group);
        }
        run(command).await
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().env("LC_ALL", "C").current_dir("/").kill_on_drop(true);
        command
    }

    /// Starts it after it was stopped, on the same port, with the same data; returns when it takes connections.
    pub async fn start_again(&self) -> Result<()> {
        let mut place = self.server.lock().await;
        if place.is_some() {
            bail!("PostgreSQL runs already");
        }
        let mut arguments =
            vec!["-D".to_owned(), self.data().display().to_string(), "-p".to_owned(), self.port.to_string()];
        arguments.extend(SETTINGS.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        let launch = Launch {
            name: "PostgreSQL",
            program: &self.programs.join("postgres"),
            arguments,
            environment: Vec::new(),
            identity: self.identity,
            last_signal: Signal::SIGQUIT,
            folder: self.folder.path(),
        };
        let mut server = Tethered::start(launch)?;
        let ready = async {
            loop {
                if let Some(status) = server.ended()? {
                    bail!("PostgreSQL ended ({status}):\n{}", server.log_tail());
                }
                let mut asking = self.command("pg_isready");
                asking.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
                if asking.status().await?.success() {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(BOUND, ready).await {
            Ok(ready) => ready?,
            Err(_) => bail!("PostgreSQL takes no connections:\n{}", server.log_tail()),
        }
        *place = Some(server);
        Ok(())
    }

    /// Stops it as an operator does: connections are closed, transactions rolled back.
    pub async fn stop(&self) -> Result<()> {
        self.end(Signal::SIGINT).await
    }

    /// Stops it as a fault does: nothing is written any more, it recovers when it is started again.
    pub async fn crash(&self) -> Result<()> {
        self.end(Signal::SIGQUIT).await
    }

    async fn end(&self, signal: Signal) -> Result<()> {
        let mut place = self.server.lock().await;
        let Some(server) = place.as_mut() else { bail!("PostgreSQL is stopped already") };
        server.end(signal, BOUND).await?;
        *place = None;
        Ok(())
    }

    /// Makes an empty database. Its URL.
    pub async fn database(&self) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut command = self.command("createdb");
        // Copying the template's files is quicker here than logging every page of them.
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "goblin", "-T", "template0", &name]);
        run(command).await?;
        Ok(format!("postgres://goblin@127.0.0.1:{}/{name}", self.port))
    }

    /// Everything in a database as SQL text, for those who look for what must not be in it.
    pub async fn dump(&self, url: &str) -> Result<String> {
        let output = self.command("pg_dump").arg(url).output().await?;
        if !output.status.success() {
            bail!("pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn identity() -> Result<Option<Identity>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in USERS {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(Identity { user: user.uid.as_raw(), group: user.gid.as_raw() }));
        }
    }
    bail!("PostgreSQL does not run as root, and there is none of the users {}", USERS.join(", "))
}

async fn run(mut command: Command) -> Result<()> {
    let output = command.output().await?;
    if !output.status.success() {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        bail!("{program} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::or_skip;

    async fn ask(postgres: &Postgres, url: &str, sql: &str) -> String {
        let output = postgres.command("psql").args(["-X", "-A", "-t", "-c", sql, url]).output().await.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    #[tokio::test]
    async fn databases_are_apart_and_outlive_a_stop_and_a_crash() {
        let Some(postgres) = or_skip("databases_are_apart_and_outlive_a_stop_and_a_crash", Postgres::start().await)
        else {
            return;
        };
        let (one, other) = (postgres.database().await.unwrap(), postgres.database().await.unwrap());
        ask(&postgres, &one, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('durable')").await;
        postgres.stop().await.unwrap();
        assert!(ask(&postgres, &one, "SELECT 1").await.contains("refused"));
        postgres.start_again().await.unwrap();
        assert_eq!(ask(&postgres, &one, "SELECT word FROM kept").await, "durable\n");
        postgres.crash().await.unwrap();
        postgres.start_again().await.unwrap();
        assert_eq!(ask(&postgres, &one, "SELECT word FROM kept").await, "durable\n");
        assert!(ask(&postgres, &other, "SELECT word FROM kept").await.contains("does not exist"));
        assert!(postgres.dump(&one).await.unwrap().contains("durable"));
    }
}
