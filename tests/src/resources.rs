//! What a process holds, as Linux tells it in `/proc`. On other systems nothing is known.

use std::fs;

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Bytes of memory that the process has resident (`VmRSS`); `None` where `/proc` does not say.
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

/// Seconds that the process has had of all processors together; `None` where `/proc` does not say.
#[must_use]
pub fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold anything, brackets too. Of what follows, the 12th and 13th are in user and in kernel mode.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().ok());
    // The kernel tells them in hundredths, whatever its own clock is.
    Some(ticks.sum::<Option<f64>>()? / 100.0)
}

/// Sockets that the process has open, listeners included; `None` where `/proc` does not say.
#[must_use]
pub fn open_sockets(process: u32) -> Option<usize> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    // A file that was closed in the meantime has no link any more.
    let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Some(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count())
}

/// Lets this process and those that it starts open so many files, as far as the system's hard limit allows.
pub fn allow_open_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files is unknown")?;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).context("the limit of open files stays")?;
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_counted_while_it_is_open() {
        let own = std::process::id();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = fs::read_dir(format!("/proc/{own}/fd")).unwrap().count();
        let sockets = open_sockets(own).unwrap();
        assert!((1..=inode).contains(&sockets), "{sockets} of {inode}");
        drop(listener);
        assert!(resident_bytes(own).unwrap() > 1_000_000);
        assert!(cpu_seconds(own).unwrap() >= 0.0);
        assert_eq!((resident_bytes(u32::MAX), cpu_seconds(u32::MAX)), (None, None));
        assert_eq!(open_sockets(u32::MAX), None);
    }
}
