//! The load: wrk, as Debian and Homebrew package it.

use std::{fmt::Write as _, fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::canned::{self, Wish};

/// What one run of wrk says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Answers in all.
    pub(crate) requests: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
}

pub(crate) async fn ensure() -> Result<()> {
    // Without arguments it prints its usage and fails; only whether it is there matters.
    let found = Command::new("wrk").output().await;
    ensure!(found.is_ok(), "wrk makes the load and is not installed: `apt-get install wrk`, or `brew install wrk`");
    Ok(())
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// `POST /v1/chat/completions`
    Chat,
    /// The same with a prompt of 200 KB.
    LongChat,
    /// The same, streamed, with an answer of 100 tokens.
    StreamedChat,
    /// The same with an answer of 1 MB.
    LongAnswer,
    /// `GET /v1/models`
    Models,
}

impl Load {
    /// Method and path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat | Self::LongChat | Self::StreamedChat | Self::LongAnswer => "POST /v1/chat/completions",
            Self::Models => "GET /v1/models",
        }
    }

    fn path(self) -> &'static str {
        self.name().split_once(' ').map_or("/", |(_, path)| path)
    }
}

/// What a browser's `fetch()` sends on every request.
const BROWSER: &[(&str, &str)] = &[
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
    ("accept", "*/*"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("origin", "https://app.example"),
    ("referer", "https://app.example/"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "cross-site"),
];

/// Sends requests over so many connections for so long: with an API key as its program would, otherwise as a browser.
pub(crate) async fn run(
    address: SocketAddr,
    load: Load,
    key: Option<&str>,
    connections: u32,
    duration: Duration,
) -> Result<Run> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let head = match &bearer {
        Some(bearer) => vec![("user-agent", "OpenAI/Python 3.54.0"), ("authorization", bearer.as_str())],
        None => BROWSER.to_vec(),
    };
    fire(address, load, &head, connections, duration).await
}

/// The same with these head fields, for targets that are told by them what to do.
pub(crate) async fn fire(
    address: SocketAddr,
    load: Load,
    head: &[(&str, &str)],
    connections: u32,
    duration: Duration,
) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("post.lua");
    let head = head.iter().fold(String::new(), |mut lua, (name, value)| {
        let _ = writeln!(lua, "wrk.headers['{name}'] = '{value}'");
        lua
    });
    let post = |body: &str| {
        format!("wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = [==[{body}]==]\n")
    };
    let lua = match load {
        Load::Chat => post(canned::REQUEST),
        Load::LongChat => post(&canned::request_of(200_000)),
        Load::StreamedChat => post(&canned::request_for(Wish::HundredTokens)),
        Load::LongAnswer => post(&canned::request_for(Wish::LongAnswer)),
        Load::Models => String::new(),
    };
    fs::write(&script, head + &lua)?;
    let url = format!("http://{address}{}", load.path());
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", duration.as_secs().max(1)), "--latency", "-s"]);
    let output = command.arg(script).arg(url).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    parse(&text).with_context(|| format!("wrk said:\n{text}"))
}

fn parse(text: &str) -> Result<Run> {
    if text.contains("Non-2xx") {
        bail!("not every answer was a success");
    }
    let after = |mark: &str| text.split(mark).nth(1).and_then(|rest| rest.split_whitespace().next());
    let per_second = after("Requests/sec:").context("no rate")?.parse()?;
    let requests = text.split(" requests in").next().and_then(|head| head.split_whitespace().last());
    let requests = requests.context("no count")?.parse()?;
    let median = text.lines().find_map(|line| line.trim_start().strip_prefix("50% "));
    let p50_ms = median.and_then(|text| millis(text.trim())).context("no median")?;
    Ok(Run { per_second, requests, p50_ms })
}

fn millis(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}
