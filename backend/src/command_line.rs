//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use goblin_shared::trace_grant;

use crate::{
    config::{self, Inputs},
    ports::{Scopes, UsageBy, day, usd},
};

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
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Serve requests until told to end (the default)
    Serve,
    /// Validate the configuration and show every value in effect, secrets masked
    CheckConfig {
        /// Print a JSON object with `valid`, and `settings` or `faults`
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Store(StoreCommand),
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

/// What to do with what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum StoreCommand {
    /// API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// What was used, and what it cost
    Usage(UsageCommand),
    /// Objectives: whether they are met
    #[command(subcommand)]
    Slo(SloCommand),
    /// Bring the schema of the store up to date, where store.migrate is manual or before a new version is started
    Migrate {
        /// Print a JSON object with `store` and `schema`
        #[arg(long)]
        json: bool,
    },
}

impl StoreCommand {
    /// Whether it makes an API key.
    pub(crate) const fn issues(&self) -> bool {
        matches!(self, Self::Keys(KeysCommand::Create(_) | KeysCommand::Rotate { .. }))
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = config::duration(text)?;
    let bounds = 1..=trace_grant::LONGEST_SECONDS;
    if bounds.contains(&lifetime.as_secs()) { Ok(lifetime) } else { Err("must be 1s to 30d".to_owned()) }
}

/// What to do with objectives.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum SloCommand {
    /// Show compliance, error budget and burn rates of each, with the days' errors as columns
    Report {
        /// Print a JSON object with `data`, one object per objective
        #[arg(long)]
        json: bool,
    },
}

/// What to do with API keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it; it is shown only here
    Create(CreateCommand),
    /// Show all keys, without their secrets
    List {
        /// Print a JSON object with `data`, one object per key
        #[arg(long)]
        json: bool,
    },
    /// Give a key a new secret and print it; the one before counts for a while
    Rotate {
        /// Which key: the 12 characters after `gob_`
        id: String,
        /// How long the secret before counts too, for example 24h; 0s ends it at once
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = config::duration)]
        overlap: Duration,
        /// Print a JSON object with `id`, `key` and what else is kept
        #[arg(long)]
        json: bool,
    },
    /// End a key; instances that serve notice it within auth.cache
    Revoke {
        /// Which key: the 12 characters after `gob_`
        id: String,
        /// Print a JSON object with `id` and `state`
        #[arg(long)]
        json: bool,
    },
}

/// The key that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct CreateCommand {
    /// What it is for, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) name: String,
    /// Whose it is; by default it is its own user
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// To whom the user belongs
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// What it may do: chat, conversations, admin, with commas between
    #[arg(long, value_name = "SCOPES", default_value = "chat,conversations")]
    pub(crate) scopes: Scopes,
    /// How long it counts, for example 90d; by default until it is revoked
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub(crate) expires: Option<Duration>,
    /// Most requests in a minute
    #[arg(long, value_name = "NUMBER")]
    pub(crate) requests_per_minute: Option<u64>,
    /// Most tokens in a minute, of prompts and answers together
    #[arg(long, value_name = "NUMBER")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Most dollars in a day (UTC), for example 12.50
    #[arg(long, value_name = "USD", value_parser = usd::read)]
    pub(crate) usd_per_day: Option<u64>,
    /// Most dollars in a month (UTC)
    #[arg(long, value_name = "USD", value_parser = usd::read)]
    pub(crate) usd_per_month: Option<u64>,
    /// Print a JSON object with `id`, `key` and what else is kept instead of the key alone
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which use is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct UsageCommand {
    /// The first day (UTC), as 2026-01-31; by default 30 days in all
    #[arg(long, value_name = "DAY", value_parser = day::read)]
    pub(crate) from: Option<u32>,
    /// The last day (UTC); by default today
    #[arg(long, value_name = "DAY", value_parser = day::read)]
    pub(crate) to: Option<u32>,
    /// What is added up
    #[arg(long, value_enum, default_value = "day")]
    pub(crate) by: UsageBy,
    /// Of one key alone, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// Of one user alone
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Of one tenant alone
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Print a JSON object with `data`, one object per line of the table
    #[arg(long)]
    pub(crate) json: bool,
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
        self.command.clone().unwrap_or(Command::Serve)
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
        assert_eq!(line.command(), Command::CheckConfig { json: false });
        let line = CommandLine::parse_from(["goblin-backend", "trace-grant"]);
        assert_eq!(line.command(), Command::TraceGrant { lifetime: Duration::from_hours(1), json: false });
    }

    fn parse(words: &str) -> Result<Command, clap::Error> {
        CommandLine::try_parse_from(words.split(' ')).map(|line| line.command())
    }

    #[test]
    fn keys_are_made_and_changed_by_words() {
        let Command::Store(StoreCommand::Keys(KeysCommand::Create(plain))) = parse("x keys create").unwrap() else {
            panic!()
        };
        assert_eq!((plain.name.as_str(), plain.scopes, plain.expires, plain.json), ("", Scopes::DEFAULT, None, false));
        let all = "x keys create --name ci --user ann --tenant acme --scopes admin,chat --expires 90d \
                   --requests-per-minute 5 --tokens-per-minute 6 --usd-per-day 12.50 --usd-per-month 100 --json";
        let Command::Store(StoreCommand::Keys(KeysCommand::Create(all))) = parse(all).unwrap() else { panic!() };
        assert_eq!((all.user.as_deref(), all.tenant.as_deref(), all.json), (Some("ann"), Some("acme"), true));
        assert_eq!((all.scopes.to_string().as_str(), all.expires), ("chat,admin", Some(Duration::from_hours(90 * 24))));
        assert_eq!((all.usd_per_day, all.usd_per_month), (Some(12_500_000_000), Some(100_000_000_000)));
        let rotate = |overlap| {
            Command::Store(StoreCommand::Keys(KeysCommand::Rotate { id: "a".to_owned(), overlap, json: false }))
        };
        assert_eq!(parse("x keys rotate a").unwrap(), rotate(Duration::from_hours(24)));
        assert_eq!(parse("x keys rotate a --overlap 0s").unwrap(), rotate(Duration::ZERO));
        for wrong in ["--scopes root", "--expires soon", "--usd-per-day 1,5", "--requests-per-minute -1"] {
            assert!(parse(&format!("x keys create {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn use_is_asked_for_by_days() {
        let Command::Store(StoreCommand::Usage(usage)) =
            parse("x usage --from 2026-01-01 --to 2026-01-31 --by model").unwrap()
        else {
            panic!()
        };
        assert_eq!((usage.from, usage.to, usage.by), (Some(20_454), Some(20_484), UsageBy::Model));
        for wrong in ["--from today", "--by hour"] {
            assert!(parse(&format!("x usage {wrong}")).is_err(), "{wrong}");
        }
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
