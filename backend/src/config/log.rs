//! `[log]`: the log on standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::{reader::Reader, value::Value};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Value for LogFormat {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err("must be `json` or `pretty`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
        }
        .to_owned()
    }
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// `log.level`, `GOBLIN_LOG__LEVEL`: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or directives
    /// `target=level` with commas between. Default `info`.
    pub(crate) level: String,
    /// `log.format`, `GOBLIN_LOG__FORMAT`: `json` or `pretty`. Default: `pretty` on a terminal, else `json`.
    pub(crate) format: LogFormat,
}

struct Directives(String);

impl Value for Directives {
    fn from_text(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|_| "must be a level such as `info`, or `target=level` with commas between".to_owned())
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            level: reader.or(&["log", "level"], Directives("info".to_owned())).0,
            format: reader.or(&["log", "format"], default_format()),
        }
    }
}

fn default_format() -> LogFormat {
    if std::io::stdout().is_terminal() { LogFormat::Pretty } else { LogFormat::Json }
}
