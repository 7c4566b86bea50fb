//! What the figures were measured on.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use goblin_tests::workspace;

pub(crate) async fn describe() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| -> BTreeSet<&str> {
        let lines = cpu.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.split_once(": ").map(|(_, value)| value)).collect()
    };
    let models: Vec<&str> = field("model name").into_iter().collect();
    let cores = std::thread::available_parallelism()?;
    // Only the edge's part needs it.
    let workerd = workspace::command(workspace::node_bin_dir().join("workerd")).arg("--version").output().await;
    let rustc = workspace::command("rustc").arg("--version").output().await?;
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(format!(
        "{} cores ({}), {}, {}\n",
        cores,
        if models.is_empty() { "unknown".to_owned() } else { models.join(", ") },
        word(&rustc.stdout),
        workerd.map_or_else(|_| "no workerd".to_owned(), |workerd| word(&workerd.stdout))
    ))
}

/// Seconds of processor time that a process group has used.
pub(crate) fn processor_seconds(group: u32) -> f64 {
    let mut ticks = 0.0;
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        // Behind the name: state, parent, group, …; user and system time are the twelfth and thirteenth.
        let fields: Vec<f64> = rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
        if fields.get(1).is_some_and(|id| (id - f64::from(group)).abs() < 0.5) {
            ticks += fields[10] + fields[11];
        }
    }
    // Linux counts in hundredths on all that we build for.
    ticks / 100.0
}

/// Bytes of memory that a process group has resident.
pub(crate) fn resident_bytes(group: u32) -> u64 {
    let mut pages = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if fields.get(2).and_then(|id| id.parse().ok()) == Some(group) {
            // Behind the name the 22nd, in pages of 4 KiB on all that we build for.
            pages += fields.get(21).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    pages * 4_096
}
