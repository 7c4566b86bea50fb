//! Whether the edge's memory stays level under requests of which some leave in mid-answer.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, stream};
use reqwest::Client;

use super::workers::Workers;
use crate::{
    canned::{REQUEST, STREAM},
    machine::resident_bytes,
};

const REQUESTS: usize = 100_000;
const PARTS: usize = 10;
/// One in so many leaves.
const LEAVERS: usize = 10;
const AT_A_TIME: usize = 16;

/// A table of workerd's resident memory while requests go by.
pub(super) async fn measure(workers: &Workers, port: u16) -> Result<String> {
    let client = Client::new();
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    let mut table =
        format!("| requests, 1 in {LEAVERS} leaving a stream | resident memory of workerd, MB |\n|---|---|\n");
    let mut row = |done: usize| -> Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "megabytes are few")]
        let megabytes = resident_bytes(workers.id()) as f64 / 1e6;
        writeln!(table, "| {done} | {megabytes:.0} |").context("a string takes all")
    };
    row(0)?;
    for part in 1..=PARTS {
        let request = |index| one(&client, &url, index % LEAVERS == 0);
        let results: Vec<Result<()>> =
            stream::iter(0..REQUESTS / PARTS).map(request).buffer_unordered(AT_A_TIME).collect().await;
        results.into_iter().collect::<Result<()>>()?;
        row(part * REQUESTS / PARTS)?;
    }
    Ok(table)
}

async fn one(client: &Client, url: &str, is_leaver: bool) -> Result<()> {
    let url = if is_leaver { format!("{url}?{STREAM}") } else { url.to_owned() };
    let request = client.post(url).header("content-type", "application/json").body(REQUEST);
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    let request = request.header("user-agent", browser).header("accept-language", "en-US,en;q=0.5");
    let request = request.header("accept-encoding", "gzip").header("sec-fetch-mode", "cors");
    let mut answer = request.send().await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    if is_leaver {
        // Its first words, and then it is dropped with its connection.
        answer.chunk().await?.context("a stream that does not end by itself")?;
    } else {
        answer.bytes().await?;
    }
    Ok(())
}
