//! An origin that costs as little as it can: every request of a kind gets the same bytes.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, time::interval};
use tokio_stream::wrappers::IntervalStream;

const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello from a canned answer."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}"#;

/// The query with which a stream is asked for.
pub(crate) const STREAM: &str = "stream";
const BETWEEN_CHUNKS: Duration = Duration::from_millis(5);
const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// What wrk sends.
pub(crate) const REQUEST: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer in one sentence."},{"role":"user","content":"Say hello to the goblin, please, and nothing else."}],"temperature":0.2}"#;

/// What else can be wished for. It stands in the system message, which every gateway hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An unstreamed answer of 1 MB.
    LongAnswer,
    /// A stream of a token each [`TOKEN_INTERVAL`], which does not end by itself. Each token is the time at which it was
    /// written, as [`now_micros`] has it.
    Tokens,
    /// A stream of a hundred tokens, as quickly as they go, with usage and its end.
    HundredTokens,
}

/// From one token to the next: 20 a second.
pub(crate) const TOKEN_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of the text of a long answer.
const LONG_ANSWER_BYTES: usize = 1_000_000;

/// The part of the system message that is replaced by a wish.
const USUAL: &str = "You answer in one sentence.";

impl Wish {
    const fn words(self) -> &'static str {
        match self {
            Self::LongAnswer => "You answer at great length.",
            Self::Tokens => "You answer word by word.",
            Self::HundredTokens => "You answer in a hundred words.",
        }
    }

    /// Long prompts wish for nothing: looking for it would take as long as all the rest.
    fn of(body: &[u8]) -> Option<Self> {
        let said = |wish: &Self| body.windows(wish.words().len()).any(|words| words == wish.words().as_bytes());
        (body.len() < 2_000)
            .then(|| [Self::LongAnswer, Self::Tokens, Self::HundredTokens].into_iter().find(said))
            .flatten()
    }
}

/// [`REQUEST`] with a wish.
pub(crate) fn request_for(wish: Wish) -> String {
    let request = REQUEST.replace(USUAL, wish.words());
    if wish == Wish::LongAnswer { request } else { request.replacen('{', r#"{"stream":true,"#, 1) }
}

/// Microseconds since some moment in this process, which is origin and client alike.
pub(crate) fn now_micros() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
}

impl Origin {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                // An error here is a client that left.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
        Ok(Self { address })
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Whoever asks for a stream gets one that does not end by itself; a collector's paths are answered as one does.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let is_telemetry = ["/v1/traces", "/v1/metrics", "/v1/logs"].contains(&request.uri().path());
    let is_stream = request.uri().query() == Some(STREAM);
    let body = request.into_body().collect().await?.to_bytes();
    let wish = Wish::of(&body);
    let (kind, body) = if is_telemetry {
        ("application/x-protobuf", Full::new(Bytes::new()).boxed_unsync())
    } else if wish == Some(Wish::Tokens) {
        let tokens = IntervalStream::new(interval(TOKEN_INTERVAL)).map(|_| Ok(Frame::data(token())));
        ("text/event-stream", StreamBody::new(tokens).boxed_unsync())
    } else if wish == Some(Wish::HundredTokens) {
        let chunks = (0..100).map(|_| WORD.clone()).chain([STREAM_END.clone()]).map(|data| Ok(Frame::data(data)));
        ("text/event-stream", StreamBody::new(tokio_stream::iter(chunks)).boxed_unsync())
    } else if wish == Some(Wish::LongAnswer) {
        ("application/json", Full::new(LONG_ANSWER.clone()).boxed_unsync())
    } else if is_stream {
        let ticks = IntervalStream::new(interval(BETWEEN_CHUNKS));
        let chunks = ticks.map(|_| Ok(Frame::data(Bytes::from_static(CHUNK.as_bytes()))));
        ("text/event-stream", StreamBody::new(chunks).boxed_unsync())
    } else {
        ("application/json", Full::new(Bytes::from_static(COMPLETION.as_bytes())).boxed_unsync())
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(answer)
}

static LONG_ANSWER: LazyLock<Bytes> = LazyLock::new(|| {
    let text = "And then the goblin counted one more token. ".repeat(LONG_ANSWER_BYTES / 44 + 1);
    COMPLETION.replace("Hello from a canned answer.", &text[..LONG_ANSWER_BYTES]).into()
});

static WORD: LazyLock<Bytes> = LazyLock::new(|| event("{\"content\":\"word \"}", "null", "null").into());

static STREAM_END: LazyLock<Bytes> = LazyLock::new(|| {
    let usage = r#"{"prompt_tokens":9,"completion_tokens":100,"total_tokens":109}"#;
    let usage = format!(
        r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[],"usage":{usage}}}"#
    );
    format!("{}{usage}\n\ndata: [DONE]\n\n", event("{}", "\"stop\"", "null")).into()
});

fn event(delta: &str, finish_reason: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish_reason}}}],\"usage\":{usage}}}\n\n"
    )
}

fn token() -> Bytes {
    let event = format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o-mini\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"finish_reason\":null}}]}}\n\n",
        now_micros()
    );
    event.into()
}

/// The usual request with a prompt of so many bytes.
pub(crate) fn request_of(bytes: usize) -> String {
    let prompt = "Once upon a time a goblin counted every token that came by. ".repeat(bytes / 60 + 1);
    REQUEST.replace("Say hello to the goblin, please, and nothing else.", &prompt[..bytes])
}
