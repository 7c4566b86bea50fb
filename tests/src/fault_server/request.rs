//! Reads a request from a socket, as far as faults depend on it.

use std::io;

use http::{Method, Uri};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::upstream::{Call, Family};

/// Largest request that is read. Beyond it the client is told nothing and cut off.
const LIMIT: usize = 16 * 1024 * 1024;

/// How a request wants to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) family: Family,
    /// Whether it wants a stream.
    pub(super) streams: bool,
}

/// Reads the whole of one request; `None` when the client leaves before.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Ok(Some(request));
        }
        if bytes.len() > LIMIT || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// The request, when all of it is there.
fn parse(bytes: &[u8]) -> Option<Request> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase(), &bytes[end + 4..]);
    let original = String::from_utf8_lossy(&bytes[..end]);
    let mut line = original.lines().next().unwrap_or_default().split(' ');
    let method: Method = line.next()?.parse().ok()?;
    let uri: Uri = line.next()?.parse().ok()?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    if field("transfer-encoding").is_some() {
        // A chunked body ends with an empty chunk.
        if !body.ends_with(b"0\r\n\r\n") {
            return None;
        }
    } else if body.len() < field("content-length").map_or(Some(0), |length| length.parse().ok())? {
        return None;
    }
    let call = Call::of(&method, &uri);
    let family = call.as_ref().map_or(Family::OpenAi, |call| call.family);
    let in_path = call.is_some_and(|call| call.streams);
    let body: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    Some(Request { family, streams: in_path || body.is_some_and(|body| body["stream"] == true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_all_of_it_is_there() {
        let bytes = b"POST /v1/messages HTTP/1.1\r\nContent-Length: 15\r\n\r\n{\"stream\":true}";
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), None, "{length}");
        }
        assert_eq!(parse(bytes), Some(Request { family: Family::Anthropic, streams: true }));
        let bytes = b"POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(bytes), Some(Request { family: Family::Gemini, streams: true }));
    }
}
