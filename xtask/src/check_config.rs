//! `cargo xtask check-config`: what is wrong with the Worker's configuration, told before a deployment finds out.

mod check;
mod deployment;
mod names;
mod reach;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use goblin_tests::workspace;

use self::check::{Checked, Given, check};

/// What to check.
#[derive(Args)]
pub(crate) struct CheckConfigOptions {
    /// The environment of wrangler.toml; without it, the top level, which is for local work.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    env: String,
    /// A file of `NAME=value` lines with the secrets; default .dev.vars, for an environment .dev.vars.NAME. Without
    /// such a file the secrets are listed, and not checked.
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// A catalogue; default the one that is built in.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

/// Prints all faults as a numbered list on standard error, or one line on what was checked on standard output.
pub(crate) fn run(options: &CheckConfigOptions) -> Result<ExitCode> {
    let environment = Some(options.env.as_str()).filter(|name| !name.is_empty());
    let own = environment.map_or_else(|| ".dev.vars".to_owned(), |name| format!(".dev.vars.{name}"));
    let own = workspace::root().join(own);
    let secrets = options.secrets.clone().or_else(|| own.exists().then_some(own));
    let secrets = secrets.as_deref().map(read).transpose()?;
    let catalogue = options.catalogue.as_deref().map(read).transpose()?;
    let wrangler = read(&workspace::root().join("wrangler.toml"))?;
    let checked = check(&Given {
        wrangler: &wrangler,
        environment,
        secrets: secrets.as_deref(),
        catalogue: catalogue.as_deref(),
    });
    if checked.faults.is_empty() {
        println!("✓ {}", checked.summary);
        print!("{}", to_be_set(&checked, environment));
        return Ok(ExitCode::SUCCESS);
    }
    eprint!("{}{}", numbered(&checked), to_be_set(&checked, environment));
    Ok(ExitCode::FAILURE)
}

/// Checks the top level of wrangler.toml, whatever the user's own `.dev.vars` says.
pub(crate) fn top_level() -> Result<()> {
    let wrangler = read(&workspace::root().join("wrangler.toml"))?;
    let checked = check(&Given { wrangler: &wrangler, environment: None, secrets: None, catalogue: None });
    if !checked.faults.is_empty() {
        bail!("{}", numbered(&checked));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn numbered(checked: &Checked) -> String {
    let what = if checked.faults.len() == 1 { "fault" } else { "faults" };
    let mut text = format!("{} {what} in the Worker's configuration ({}):\n", checked.faults.len(), checked.summary);
    for (index, fault) in checked.faults.iter().enumerate() {
        let _ = writeln!(text, "{:>4}. {fault}", index + 1);
    }
    text
}

fn to_be_set(checked: &Checked, environment: Option<&str>) -> String {
    let mut text = String::new();
    match environment {
        _ if checked.unseen.is_empty() => {}
        None => {
            let names = checked.unseen.join(" and ");
            let _ = writeln!(text, "{names}: not seen, as there is no .dev.vars; `cargo xtask dev` makes it");
        }
        Some(environment) => {
            text.push_str("Secrets are not seen from here. Those that are not set yet:\n");
            for name in &checked.unseen {
                let _ = writeln!(text, "    npx wrangler secret put {name} --env {environment}");
            }
        }
    }
    text
}
