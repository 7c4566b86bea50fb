//! Makes the tables by which the edge knows crawlers and tools by their User-Agents, out of `edge/crawlers.tsv` and
//! `edge/crawlers_own.tsv`; `edge/src/admit/user_agent.rs` includes them.

use std::{env, fs, path::Path, process::ExitCode};

#[expect(unreachable_pub, reason = "public where it belongs to the library")]
#[path = "src/admit/user_agent/class.rs"]
mod class;
#[path = "src/admit/user_agent/gram.rs"]
mod gram;
#[path = "src/admit/user_agent/list.rs"]
mod list;
#[path = "src/admit/user_agent/pattern.rs"]
mod pattern;
#[expect(dead_code, reason = "here only the codes are needed")]
#[path = "src/admit/user_agent/program.rs"]
mod program;
#[path = "src/admit/user_agent/table.rs"]
mod table;

const GENERATED: &str = "crawlers.tsv";
const OWN: &str = "crawlers_own.tsv";
/// Real browsers; what is common among them is a bad sign of a crawler.
const BROWSERS: &str = "tests/agents/browsers.txt";

fn main() -> ExitCode {
    match write_tables() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn write_tables() -> Result<(), String> {
    let (generated, own, browsers) = (read(GENERATED)?, read(OWN)?, read(BROWSERS)?);
    let of_lists = |error| format!("edge/{GENERATED} with edge/{OWN}: {error}");
    let rules = list::merge(&generated, &own).map_err(of_lists)?;
    let browsers = browsers.lines().filter(|line| !line.starts_with('#'));
    let table = table::build(&rules, browsers).map_err(of_lists)?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?;
    let target = Path::new(&out).join("user_agents.rs");
    fs::write(&target, table.to_source()).map_err(|error| format!("{}: {error}", target.display()))
}

fn read(path: &str) -> Result<String, String> {
    println!("cargo::rerun-if-changed={path}");
    fs::read_to_string(path).map_err(|error| format!("edge/{path} cannot be read: {error}"))
}
