//! What a caller saw of a request.

use reqwest::Response;
use serde_json::Value;

use super::load::Kind;
use crate::client::{header, now};

/// Parts of a stream that are read before its caller leaves.
const FIRST_WORDS: usize = 2;

/// How an exchange ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The answer was read to its end, `[DONE]` included.
    Whole,
    /// Anything but 200.
    Refused(Refusal),
    /// An error event with this code in the stream.
    Failed(String),
    /// The connection broke.
    Broken,
    /// The caller left.
    Left,
    /// As nothing may end.
    Wrong(String),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<u64>,
}

/// A request as its caller saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// Its id, 32 hexadecimal digits, where its head came with 200: it was accepted.
    pub(super) accepted: Option<String>,
    pub(super) conversation: Option<String>,
    pub(super) end: End,
    /// When it was sent and when it ended, in milliseconds since 1970.
    pub(super) time: (u64, u64),
}

/// The id of an answered request as the ledger has it.
pub(super) fn id_of(answer: &Response) -> String {
    header(answer, "x-request-id").expect("x-request-id").replace('-', "")
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    u64::try_from(now().as_millis()).expect("a time that the ledger can hold")
}

/// What a refusal says.
pub(super) async fn refusal(answer: Response) -> End {
    let status = answer.status().as_u16();
    let retry_after = header(&answer, "retry-after").and_then(|seconds| seconds.parse().ok());
    let Ok(text) = answer.text().await else { return End::Broken };
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return End::Wrong(text) };
    let said = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    End::Refused(Refusal { status, code: said("code"), message: said("message"), retry_after })
}

/// Leaves after the first words.
pub(super) async fn leave(mut answer: Response) -> End {
    for _ in 0..FIRST_WORDS {
        if answer.chunk().await.is_err() {
            return End::Broken;
        }
    }
    End::Left
}

/// Reads a stream to its end.
pub(super) async fn read(answer: Response) -> End {
    let Ok(text) = answer.text().await else { return End::Broken };
    if text.ends_with("data: [DONE]\n\n") {
        return End::Whole;
    }
    let error = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let mut codes = error.filter_map(|event| event["error"]["code"].as_str().map(str::to_owned));
    codes.next_back().map_or(End::Wrong(text), End::Failed)
}
