//! Long steps: what is being done and for how long, the noise in a file.

use std::{
    fs::{self, File},
    io::{IsTerminal as _, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use goblin_tests::{
    process::{LineSink, Process},
    workspace,
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::process::Command;

/// How often a step reports where no spinner can turn.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// Runs `command` to its end under the title `doing` ("building the edge"). Its output goes to a log file, of which the
/// end is shown when it fails.
pub(crate) async fn run(doing: &str, log_name: &str, command: Command) -> Result<()> {
    let logs = workspace::artifact_dir()?.join("xtask-logs");
    fs::create_dir_all(&logs).with_context(|| format!("{} cannot be made", logs.display()))?;
    let path = logs.join(format!("{log_name}.log"));
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let process = Process::start(doing, command, Some(to_file(file)))?;
    let started = Instant::now();
    let status = with_progress(doing, started, process.exited()).await;
    if !status.success() {
        bail!(
            "{doing} failed after {} ({status}). From its output, all of which is in {}:\n{}",
            elapsed(started),
            path.display(),
            excerpt(&process.log().lines())
        );
    }
    say(&format!("✓ {doing} ({})", elapsed(started)));
    Ok(())
}

/// Awaits `work`, showing that it goes on.
pub(crate) async fn with_progress<T>(doing: &str, started: Instant, work: impl Future<Output = T>) -> T {
    if std::io::stderr().is_terminal() {
        let spinner = ProgressBar::new_spinner().with_message(doing.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(120));
        let result = work.await;
        spinner.finish_and_clear();
        return result;
    }
    say(&format!("{doing} …"));
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(REPORT_INTERVAL, work.as_mut()).await {
            Ok(result) => return result,
            Err(_) => say(&format!("{doing} … {}", elapsed(started))),
        }
    }
}

/// One line for people. On standard error, as standard output belongs to results.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

fn elapsed(since: Instant) -> String {
    let seconds = since.elapsed().as_secs();
    if seconds < 100 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

/// The beginning and the end: some tools say what is wrong first and close with their manual, others the other way round.
fn excerpt(lines: &[String]) -> String {
    const FIRST: usize = 15;
    const LAST: usize = 30;
    let indented = |lines: &[String]| lines.iter().flat_map(|line| ["    ", line, "\n"]).collect::<String>();
    if lines.len() <= FIRST + LAST {
        return indented(lines);
    }
    format!("{}    …\n{}", indented(&lines[..FIRST]), indented(&lines[lines.len() - LAST..]))
}

fn to_file(file: File) -> LineSink {
    let file = Mutex::new(file);
    // A full disk must not end the step that it only tells about.
    Arc::new(move |line| drop(writeln!(file.lock().unwrap_or_else(PoisonError::into_inner), "{line}")))
}

/// Whether `path` exists and holds exactly `text`: how finished work is remembered.
pub(crate) fn is_marked(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_both_ends() {
        let lines: Vec<String> = (0..100).map(|number| format!("line {number}")).collect();
        let text = excerpt(&lines);
        assert!(text.starts_with("    line 0\n") && text.ends_with("    line 99\n"), "{text}");
        assert_eq!(text.lines().count(), 46);
        assert_eq!(excerpt(&lines[..45]).lines().count(), 45);
    }
}
