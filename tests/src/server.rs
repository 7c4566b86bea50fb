//! Servers that the product keeps things in, for tests: real ones, on loopback, with data of their own, which end with
//! the test process however that ends.

mod tethered;

use std::{
    env,
    io::{Write as _, stdout},
    net::TcpListener,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Result, bail};

pub(crate) use self::tethered::{Identity, Launch, Tethered};

/// How long a server may take to be ready or to end on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_mins(1);

/// Pause between two looks at a server that begins or ends.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no server.
#[derive(Debug)]
pub enum NotStarted {
    /// It is not installed; the text says how to get it.
    Missing(&'static str),
    /// It is, but does not run.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for NotStarted {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a test needs, or nothing where the machine lacks it: the test then says so and returns. Panics when that may
/// not be (`GOBLIN_TEST_REQUIRE_ALL`), and when the server is there but does not run.
pub fn or_skip<T>(test: &str, started: Result<T, NotStarted>) -> Option<T> {
    match started {
        Ok(server) => Some(server),
        Err(NotStarted::Failed(error)) => panic!("{error:#}"),
        Err(NotStarted::Missing(hint)) if env::var_os("GOBLIN_TEST_REQUIRE_ALL").is_some() => {
            panic!("nothing may be skipped, but {hint}")
        }
        Err(NotStarted::Missing(hint)) => {
            // Not by `println!`, which the standard harness swallows when a test passes: it knows no skipping in
            // mid-test. `cargo xtask test` reads this line, which begins as one, and counts it as what it is.
            let _ = writeln!(stdout(), "\nSKIPPED (not passed) {test}: {hint}");
            None
        }
    }
}

/// A program of the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A loopback port on which nobody listens, outside the range from which systems take ports for outgoing connections:
/// there nobody takes it while its server is stopped, and no client connects to itself in its place.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = 10_000 + u16::try_from(getrandom::u32()? % 20_000)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port was found on 127.0.0.1 among 100 tried")
}
