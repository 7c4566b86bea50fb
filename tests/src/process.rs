//! A child process whose lines can be waited for, and which leaves nobody behind.

use std::{
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Command,
    sync::watch,
};

use crate::process_log::ProcessLog;

/// What is done with each line beside keeping it.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A running child in a process group of its own: signals reach its children too, and a Ctrl-C at the terminal reaches
/// neither, so that the order of ending is ours. Dropping it kills the group.
pub struct Process {
    name: String,
    group: Pid,
    log: Arc<ProcessLog>,
    exit: watch::Receiver<Option<ExitStatus>>,
    /// The group was killed and its leader reaped: the id may belong to somebody else by now.
    over: AtomicBool,
}

impl Process {
    /// Starts `command`; `name` is for messages. Must be called inside a tokio runtime.
    pub fn start(name: &str, mut command: Command, sink: Option<LineSink>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| {
            format!("{name} could not be started ({})", command.as_std().get_program().to_string_lossy())
        })?;
        let id = child.id().with_context(|| format!("{name} ended at once"))?;
        let log = Arc::new(ProcessLog::default());
        let outputs = [
            child.stdout.take().map(|pipe| tokio::spawn(read_lines(pipe, log.clone(), sink.clone()))),
            child.stderr.take().map(|pipe| tokio::spawn(read_lines(pipe, log.clone(), sink))),
        ];
        let (exited, exit) = watch::channel(None);
        let closing = log.clone();
        tokio::spawn(async move {
            let status = child.wait().await.ok();
            // What it printed last is often why it ended. Grandchildren may hold the pipes open, so not for long.
            let drained = async {
                for output in outputs.into_iter().flatten() {
                    let _ = output.await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
            closing.close();
            exited.send_replace(Some(status.unwrap_or_default()));
        });
        Ok(Self {
            name: name.to_owned(),
            group: Pid::from_raw(i32::try_from(id)?),
            log,
            exit,
            over: AtomicBool::new(false),
        })
    }

    /// What it printed on standard output and standard error.
    #[must_use]
    pub fn log(&self) -> &ProcessLog {
        &self.log
    }

    /// Waits until it ends.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let status = exit.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        status.unwrap_or_default()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Waits for the first line, from its start on, for which `find` gives something. An error with the tail of its
    /// log when it ends first or `bound` passes.
    pub async fn wait_for_line<T>(&self, bound: Duration, find: impl FnMut(&str) -> Option<T>) -> Result<T> {
        match tokio::time::timeout(bound, self.log.find(find)).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let status = self.exited().await;
                bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.log.tail(40))
            }
            Err(_) => bail!(
                "{} did not print what was waited for within {} s:\n{}",
                self.name,
                bound.as_secs(),
                self.log.tail(40)
            ),
        }
    }

    /// Id of the process that was started, the leader of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// Sends SIGINT to the leader alone, as another program would; a terminal sends it to the whole group.
    pub fn interrupt(&self) {
        // The only error is that it has ended, which is what was wanted.
        let _ = kill(self.group, Signal::SIGINT);
    }

    /// Asks the group to end (SIGTERM), gives it `bound`, then kills what is left.
    pub async fn terminate(&self, bound: Duration) {
        if self.over.load(Ordering::Acquire) {
            return;
        }
        self.signal(Signal::SIGTERM);
        let _ = tokio::time::timeout(bound, self.exited()).await;
        self.kill().await;
    }

    /// Kills the group (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) {
        if !self.over.load(Ordering::Acquire) {
            self.signal(Signal::SIGKILL);
            self.exited().await;
            self.over.store(true, Ordering::Release);
        }
    }

    fn signal(&self, signal: Signal) {
        // The only error is that no such group exists any more, which is what was wanted.
        let _ = killpg(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.over.load(Ordering::Acquire) {
            self.signal(Signal::SIGKILL);
        }
    }
}

async fn read_lines(pipe: impl AsyncRead + Unpin, log: Arc<ProcessLog>, sink: Option<LineSink>) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches(['\n', '\r']);
        if let Some(sink) = &sink {
            sink(line);
        }
        log.push(line);
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("the script", command, None).unwrap()
    }

    #[tokio::test]
    async fn lines_are_found_from_the_start_on() {
        let process = shell("echo one; echo two >&2; echo last; exit 3");
        assert_eq!(process.exited().await.code(), Some(3));
        for line in ["one", "two", "last"] {
            process.wait_for_line(BOUND, |text| (text == line).then_some(())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_early_end_shows_the_log() {
        let process = shell("echo no such flag >&2; exit 2");
        let error = process.wait_for_line(BOUND, |_| None::<()>).await.unwrap_err().to_string();
        assert!(error.contains("no such flag") && error.contains("exit status: 2"), "{error}");
    }

    #[tokio::test]
    async fn the_whole_group_ends_and_the_deaf_are_killed() {
        let process = shell("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait");
        let mut ids = Vec::new();
        let ids = process
            .wait_for_line(BOUND, |line| {
                ids.push(line.parse::<i32>().ok()?);
                (ids.len() == 2).then(|| ids.clone())
            })
            .await
            .unwrap();
        process.terminate(Duration::from_millis(50)).await;
        for id in ids {
            // An orphan is reaped by the machine's first process, which may take a moment.
            let gone = async {
                while kill(Pid::from_raw(id), None).is_ok() && !is_zombie(id) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(BOUND, gone).await.expect("the group lives on");
        }
    }

    fn is_zombie(id: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
