//! A process that ends when the one that started it does, even by `kill -9`, and whichever thread started it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::PAUSE;

/// Starts a program and tells its id. Standard input, which only the starter's end of a pipe keeps open, ends with the
/// starter, be it killed: then the program is sent a signal, and its folder removed. (Linux can also send a signal when
/// a parent dies, but means the thread, and that of a test ends long before its process.)
///
/// Arguments: the signal, the folder, the program and its arguments.
const TETHER: &str = r#"
signal=$1 folder=$2
shift 2
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
exec >/dev/null
{
    while read -r _; do :; done
    trap '' TERM
    kill -s "$signal" "$server"
    while kill -s 0 "$server"; do sleep 0.1; done
    rm -rf "$folder"
} <&3 3<&- 2>&1 &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill -s TERM "$watcher"
exit "$status"
"#;

/// As whom to run it, where it must not be root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// How to run it.
#[derive(Clone, Debug)]
pub(crate) struct Launch<'a> {
    /// For messages.
    pub(crate) name: &'static str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    /// What it is told besides; of the caller's settings it sees none.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) identity: Option<Identity>,
    /// What ends it at once.
    pub(crate) last_signal: Signal,
    /// Its own, removed when the starter dies without having ended it. What it prints is there in `log`.
    pub(crate) folder: &'a Path,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Tethered {
    name: &'static str,
    shell: Child,
    server: Pid,
    last_signal: Signal,
    log: PathBuf,
}

impl Tethered {
    /// Starts it.
    pub(crate) fn start(launch: Launch<'_>) -> Result<Self> {
        let Launch { name, program, arguments, environment, identity, last_signal, folder } = launch;
        let log = folder.join("log");
        let output = File::options().create(true).append(true).open(&log)?;
        let signal = last_signal.as_str().trim_start_matches("SIG");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", TETHER, name, signal]).arg(folder).arg(program).args(arguments);
        // Nothing of the caller's settings reaches it (`PGDATA`, locales).
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output).process_group(0);
        if let Some(Identity { user, group }) = identity {
            command.uid(user).gid(group);
        }
        let mut shell = command.spawn().with_context(|| format!("{name} could not be started"))?;
        let mut line = String::new();
        if let Some(told) = shell.stdout.take() {
            BufReader::new(told).read_line(&mut line)?;
        }
        let server = line.trim().parse().with_context(|| format!("{name} did not start: {line:?}"))?;
        Ok(Self { name, shell, server: Pid::from_raw(server), last_signal, log })
    }

    /// Its status, once it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?)
    }

    /// Sends it a signal; none when it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill(self.server, signal);
    }

    #[cfg(test)]
    pub(crate) fn server(&self) -> Pid {
        self.server
    }

    /// Sends it a signal and waits until it has ended.
    pub(crate) async fn end(&mut self, signal: Signal, bound: Duration) -> Result<()> {
        self.signal(signal);
        let ending = async {
            while self.ended()?.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(bound, ending).await {
            Ok(ended) => ended,
            Err(_) => bail!("{} does not end within {} s:\n{}", self.name, bound.as_secs(), self.log_tail()),
        }
    }

    /// The end of what it printed.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        if matches!(self.shell.try_wait(), Ok(None)) {
            self.signal(self.last_signal);
            // It may be stopped.
            self.signal(Signal::SIGCONT);
            // The shell ends as its server does.
            let _ = self.shell.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn sleeper(folder: &Path, script: &str) -> Tethered {
        let launch = Launch {
            name: "the script",
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: Vec::new(),
            identity: None,
            last_signal: Signal::SIGKILL,
            folder,
        };
        Tethered::start(launch).unwrap()
    }

    fn lives(process: Pid) -> bool {
        kill(process, None).is_ok()
            && !fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    async fn gone(process: Pid) {
        let gone = async {
            while lives(process) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(BOUND, gone).await.expect("it lives on");
    }

    #[tokio::test]
    async fn it_ends_with_the_pipe_of_its_starter() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = sleeper(folder.path(), "exec sleep 600");
        assert!(lives(server.server()) && server.ended().unwrap().is_none());
        // What the system does when the starter is killed.
        drop(server.shell.stdin.take());
        gone(server.server()).await;
        let removing = async {
            while folder.path().exists() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(BOUND, removing).await.expect("its folder is left");
        let ending = async {
            while server.ended().unwrap().is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(BOUND, ending).await.expect("its shell lives on");
    }

    #[tokio::test]
    async fn it_ends_on_request_and_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = sleeper(folder.path(), "echo said; echo more >&2; exec sleep 600");
        server.end(Signal::SIGTERM, BOUND).await.unwrap();
        gone(server.server()).await;
        let mut server = sleeper(folder.path(), "echo last words; exit 3");
        server.end(Signal::SIGURG, BOUND).await.unwrap();
        assert_eq!(server.ended().unwrap().unwrap().code(), Some(3));
        assert!(server.log_tail().contains("last words"), "{}", server.log_tail());
        let server = sleeper(folder.path(), "exec sleep 600");
        let process = server.server();
        drop(server);
        gone(process).await;
    }
}
