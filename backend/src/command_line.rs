//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use goblin_shared::trace_grant;

use crate::config::{self, Inputs};

/// The file that is read when none is named and it exists.
const DEFAULT_FILE: &str = "goblin.toml";

/// The backend of Goblin Assistant, an LLM chat gateway.
#[derive(Debug, Parser)]
#[command(name = "goblin-backend", version, about)]
pub(crate) struct CommandLine {
    /// Configuration file [default: ./goblin.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "GOBLIN_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// One setting, stronger than environment and file; may be given several times
    #[arg(long, value_name = "SECTION.FIELD=VALUE", global = true)]
    set: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Serve requests until told to end (the default)
    Serve,
    /// Validate the configuration and show every value in effect, secrets masked
    CheckConfig,
    /// API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make a grant for the field `trace-grant`: requests with it are traced and told why they went where they did
    TraceGrant {
        /// How long it is good for, for example 30m, 1h or 7d; at most 30d
        #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
        lifetime: Duration,
        /// Print a JSON object with `trace_grant` and `expires` (seconds since 1970) instead of the grant alone
        #[arg(long)]
        json: bool,
    },
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = config::duration(text)?;
    let bounds = 1..=trace_grant::LONGEST_SECONDS;
    if bounds.contains(&lifetime.as_secs()) { Ok(lifetime) } else { Err("must be 1s to 30d".to_owned()) }
}

/// What to do with API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key that the edge lets pass and print it; it is shown only here
    Create {
        /// Print a JSON object with `id` and `key` instead of the key alone
        #[arg(long)]
        json: bool,
    },
}

/// The file that was named cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file {} cannot be read: {error}", path.display())]
pub(crate) struct UnreadableFile {
    path: PathBuf,
    error: std::io::Error,
}

impl CommandLine {
    /// What to do.
    pub(crate) fn command(&self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }

    /// Gathers what configuration is made of.
    pub(crate) fn inputs(self) -> Result<Inputs, UnreadableFile> {
        let path = self.config.unwrap_or_else(|| DEFAULT_FILE.into());
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            // Only the default may be missing.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.as_os_str() == DEFAULT_FILE => None,
            Err(error) => return Err(UnreadableFile { path, error }),
        };
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Ok(Inputs { file, environment, set: self.set })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <CommandLine as clap::CommandFactory>::command().debug_assert();
        let line = CommandLine::parse_from(["goblin-backend", "--set", "a.b=1", "check-config", "--set", "c.d=2"]);
        assert_eq!(line.command(), Command::CheckConfig);
        let line = CommandLine::parse_from(["goblin-backend", "keys", "create", "--json"]);
        assert_eq!(line.command(), Command::Keys(KeysCommand::Create { json: true }));
        let line = CommandLine::parse_from(["goblin-backend", "trace-grant"]);
        assert_eq!(line.command(), Command::TraceGrant { lifetime: Duration::from_hours(1), json: false });
    }

    #[test]
    fn grants_have_bounded_lifetimes() {
        let parse =
            |lifetime| CommandLine::try_parse_from(["goblin-backend", "trace-grant", "--json", "--for", lifetime]);
        let line = parse("30d").unwrap();
        assert_eq!(line.command(), Command::TraceGrant { lifetime: Duration::from_hours(720), json: true });
        for lifetime in ["31d", "500ms", "0s", "1", ""] {
            assert!(parse(lifetime).is_err(), "{lifetime}");
        }
    }
}
