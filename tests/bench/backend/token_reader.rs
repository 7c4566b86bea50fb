//! A client that times the tokens of one stream.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::canned::{Wish, now_micros, request_for};

/// What stands before the time at which a token was written.
const CONTENT: &[u8] = br#""content":""#;

/// Calls `told` with the times at which each token was written and read, in microseconds, until it says that this is
/// enough. The end of the stream before is an error.
pub(super) async fn read_tokens(address: SocketAddr, mut told: impl FnMut(u64, u64) -> bool) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/v1/chat/completions")
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(request_for(Wish::Tokens))))?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status().is_success(), "a stream was answered with {}", answer.status());
    let mut body = answer.into_body();
    let mut unread = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("a stream broke")?;
        let read = now_micros();
        unread.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = unread.drain(..end + 2).collect();
            if let Some(written) = written(&event)
                && !told(written, read)
            {
                // Dropped with its connection, as by a client that leaves.
                connection.abort();
                return Ok(());
            }
        }
    }
    anyhow::bail!("a stream ended by itself")
}

/// The time in a token; other events, such as comments, have none.
fn written(event: &[u8]) -> Option<u64> {
    let start = event.windows(CONTENT.len()).position(|part| part == CONTENT)? + CONTENT.len();
    let digits = event[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&event[start..start + digits]).ok()?.parse().ok()
}
