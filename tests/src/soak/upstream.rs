//! The provider of a soak. Unlike the tests' upstream it remembers nothing of requests, of which there are many, and
//! counts what is open.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::dialect::Dialect;
use crate::http_peer::{AnswerBody, HangUp, streamed, whole};

/// What stands in a prompt before the name of a behaviour.
pub(super) const MARK: &str = "goblin-soak:";

const TOKEN_INTERVAL: Duration = Duration::from_millis(20);
/// Tokens of an ordinary stream.
const TOKENS: usize = 10;
/// Tokens of a stream that clients leave.
const MANY_TOKENS: usize = 500;
/// Bytes of a token that fills the buffers on the way.
const FLOOD: usize = 16 * 1024;
const SLOW: Duration = Duration::from_secs(1);

/// The keys of the OpenAI-compatible provider.
pub(super) const KEYS: [&str; 2] = ["sk-first-of-the-soak", "sk-second-of-the-soak"];

/// What the upstream does with a request, by its name in the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers, at once or by and by as a stream.
    Answer,
    /// The same after a second.
    Slow,
    /// Answers 500.
    Fail,
    /// Answers 429, without a word of when to come back: with one, the gateway would ask nobody in the meantime.
    Limit,
    /// Closes the connection without an answer.
    HangUp,
    /// Breaks the connection in mid-answer.
    Cut,
    /// Streams longer than its client stays.
    Long,
    /// The same, as fast as its client reads.
    Flood,
    /// Answers 500, but answers where Anthropic's shape is spoken.
    Elsewhere,
    /// Answers 429 to the first key, and answers any other.
    OneKey,
    /// Answers when all that are held are released.
    Hold,
}

const ALL: [Behaviour; 11] = {
    use Behaviour::{Answer, Cut, Elsewhere, Fail, Flood, HangUp, Hold, Limit, Long, OneKey, Slow};
    [Answer, Slow, Fail, Limit, HangUp, Cut, Long, Flood, Elsewhere, OneKey, Hold]
};

impl Behaviour {
    /// Its name in a prompt.
    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }
}

/// A running one; ends when dropped.
pub(super) struct SoakUpstream {
    address: SocketAddr,
    counts: Arc<Counts>,
    closing: watch::Sender<u32>,
    release: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counts {
    exchanges: AtomicUsize,
    connections: AtomicUsize,
    held: AtomicUsize,
    with_first_key: AtomicUsize,
    with_second_key: AtomicUsize,
}

/// Counted until dropped.
struct Open(Arc<Counts>, fn(&Counts) -> &AtomicUsize);

impl Open {
    fn new(counts: &Arc<Counts>, which: fn(&Counts) -> &AtomicUsize) -> Self {
        which(counts).fetch_add(1, Ordering::Relaxed);
        Self(counts.clone(), which)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

impl SoakUpstream {
    /// Starts on a free port.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let ((closing, closings), (release, released)) = (watch::channel(0), watch::channel(false));
        tokio::spawn(accept(listener, counts.clone(), closings, released));
        Ok(Self { address, counts, closing, release })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests whose answers are neither handed over nor given up.
    pub(super) fn open_exchanges(&self) -> usize {
        self.counts.exchanges.load(Ordering::Relaxed)
    }

    /// Connections, idle ones included.
    pub(super) fn open_connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Requests that are held.
    pub(super) fn held(&self) -> usize {
        self.counts.held.load(Ordering::Relaxed)
    }

    /// Requests so far with each of [`KEYS`].
    pub(super) fn with_keys(&self) -> [usize; 2] {
        [&self.counts.with_first_key, &self.counts.with_second_key].map(|count| count.load(Ordering::Relaxed))
    }

    /// Lets all that are held, and will be, go on.
    pub(super) fn release(&self) {
        self.release.send_replace(true);
    }

    /// Closes all connections, as a provider does with idle ones.
    pub(super) fn close_connections(&self) {
        self.closing.send_modify(|times| *times += 1);
    }
}

async fn accept(
    listener: TcpListener,
    counts: Arc<Counts>,
    mut closings: watch::Receiver<u32>,
    released: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let _ = stream.set_nodelay(true);
                let (counts, released) = (counts.clone(), released.clone());
                connections.spawn(async move {
                    let _open = Open::new(&counts, |counts| &counts.connections);
                    let service = service_fn(|request| answer(request, counts.clone(), released.clone()));
                    // An error here is a client that left or a connection that was broken on purpose.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
            changed = closings.changed() => {
                connections.shutdown().await;
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Counts>,
    mut released: watch::Receiver<bool>,
) -> Result<Response<AnswerBody>, HangUp> {
    let open = Open::new(&counts, |counts| &counts.exchanges);
    let Some(dialect) = Dialect::of_path(request.uri().path()) else { return Ok(error(Dialect::Chat, 404)) };
    let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let has_first_key = bearer == Some(KEYS[0]);
    match bearer {
        Some(_) if has_first_key => counts.with_first_key.fetch_add(1, Ordering::Relaxed),
        Some(key) if key == KEYS[1] => counts.with_second_key.fetch_add(1, Ordering::Relaxed),
        _ => 0,
    };
    let body = request.into_body().collect().await.map_err(|_| HangUp)?.to_bytes();
    let body = String::from_utf8_lossy(&body);
    let name = body.split(MARK).nth(1).unwrap_or_default();
    let behaviour = ALL.into_iter().find(|behaviour| name.starts_with(&behaviour.name())).unwrap_or(Behaviour::Answer);
    let is_stream = body.contains(r#""stream":true"#);
    match behaviour {
        Behaviour::Slow => tokio::time::sleep(SLOW).await,
        Behaviour::Hold => {
            let _held = Open::new(&counts, |counts| &counts.held);
            let _ = released.wait_for(|released| *released).await;
        }
        Behaviour::Fail => return Ok(error(dialect, 500)),
        Behaviour::Elsewhere if dialect != Dialect::Messages => return Ok(error(dialect, 500)),
        Behaviour::Limit => return Ok(error(dialect, 429)),
        Behaviour::OneKey if has_first_key => return Ok(error(dialect, 429)),
        Behaviour::HangUp => return Err(HangUp),
        Behaviour::Answer
        | Behaviour::Elsewhere
        | Behaviour::OneKey
        | Behaviour::Cut
        | Behaviour::Long
        | Behaviour::Flood => {}
    }
    Ok(if is_stream {
        of_type("text/event-stream", streamed(parts(dialect, behaviour, open)))
    } else if behaviour == Behaviour::Cut {
        let body = dialect.whole();
        let half = body[..body.len() / 2].to_owned();
        of_type("application/json", streamed(cut_after(half.into(), open)))
    } else {
        of_type("application/json", whole(dialect.whole()))
    })
}

/// The parts of a stream, each after a pause but where the client's buffers are to be filled.
fn parts(dialect: Dialect, behaviour: Behaviour, open: Open) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (tokens, text, pause) = match behaviour {
        Behaviour::Long => (MANY_TOKENS, "word ".to_owned(), TOKEN_INTERVAL),
        Behaviour::Flood => (MANY_TOKENS, "flood ".repeat(FLOOD / 6), Duration::ZERO),
        _ => (TOKENS, "word ".to_owned(), TOKEN_INTERVAL),
    };
    let token = dialect.token(&text);
    let first = Bytes::from([dialect.beginning(), token.clone()].concat());
    let endings = dialect.endings();
    stream::unfold((0, open), move |(number, open)| {
        let part = match number {
            _ if behaviour == Behaviour::Cut && number == tokens / 2 => Some(Err(io::Error::other("cut on purpose"))),
            0 => Some(Ok(first.clone())),
            _ if number < tokens => Some(Ok(token.clone())),
            _ => endings.get(number - tokens).cloned().map(Ok),
        };
        async move {
            tokio::time::sleep(pause).await;
            Some((part?, (number + 1, open)))
        }
    })
}

/// A part of a body, and then the end of its connection.
fn cut_after(part: Bytes, open: Open) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold((Some(part), open), |(part, open)| async move {
        // The part leaves before the cut.
        tokio::time::sleep(TOKEN_INTERVAL).await;
        let sent = part.ok_or_else(|| io::Error::other("cut on purpose"));
        Some((sent, (None, open)))
    })
}

fn error(dialect: Dialect, status: u16) -> Response<AnswerBody> {
    let mut answer = of_type("application/json", whole(dialect.error(status)));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer
}

fn of_type(content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    answer
}
