//! Chromium without a window: a real browser, for what only browsers do.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;

/// What it is called: by Debian, by others, by Google.
const COMMANDS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// How to get it.
pub const HINT: &str = "Chromium is missing: on Debian `apt-get install --no-install-recommends chromium` brings it";

/// No window, no sandbox (which root in a container has not; only pages of ours are opened), and nothing that it would
/// do on its own: no dialogs, no updates, no reports, no calls to anybody.
const OPTIONS: [&str; 18] = [
    "--headless",
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-quic",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-domain-reliability",
    "--metrics-recording-only",
    "--password-store=basic",
];

/// How long it may take to end.
const END_BOUND: Duration = Duration::from_secs(10);

/// A running browser with one page, and a profile of its own: nothing is remembered of another. Dropping it kills it.
pub struct Chromium {
    process: Process,
    profile: TempDir,
}

impl Chromium {
    /// The installed one.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        let all = COMMANDS.iter().flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)));
        all.into_iter().find(|program| program.is_file())
    }

    /// Opens a page. It calls itself `HeadlessChrome`, unless it is told another name.
    pub fn open(program: &Path, url: &str, user_agent: Option<&str>) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command.args(OPTIONS).arg(format!("--user-data-dir={}", profile.path().display()));
        command.args(user_agent.map(|name| format!("--user-agent={name}")));
        // What it keeps outside its profile goes there too.
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"] {
            command.env(variable, profile.path());
        }
        command.arg(url);
        Ok(Self { process: Process::start("Chromium", command, None)?, profile })
    }

    /// What it says of itself, for those who wonder why a page does not report.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log().tail(20)
    }

    /// Ends it and all its processes.
    pub async fn end(self) {
        self.process.terminate(END_BOUND).await;
    }

    /// Where its profile is; every process of it has the path on its command line.
    #[must_use]
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }
}
