//! What the HTTP servers of the tests stand on: a free port, whole requests, answers that can break off.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Method.
    pub method: Method,
    /// Path with its query.
    pub uri: Uri,
    /// Head fields; several of a name in the order in which they came.
    pub headers: HeaderMap,
    /// The body's bytes, exactly.
    pub body: Bytes,
    /// When all of it had come.
    pub arrived: Instant,
}

impl ReceivedRequest {
    /// The one value of a field; panics when there are several or it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} came {} times: {values:?}", values.len());
        values.first().map(|value| value.to_str().expect("a head field of text"))
    }

    /// The body as JSON; panics when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

/// Body of an answer.
pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// The handler wants the connection closed without an answer.
#[derive(Debug)]
pub(crate) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up on purpose")
    }
}

impl std::error::Error for HangUp {}

/// A whole body.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that comes in parts; an error breaks the connection.
pub(crate) fn streamed(parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> AnswerBody {
    StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync()
}

/// A server on a free port of 127.0.0.1; ends when dropped.
pub(crate) struct HttpPeer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl HttpPeer {
    /// Serves with `handle`, which is dropped together with its answer's body when the client goes.
    pub(crate) async fn start<H, F>(handle: H) -> Result<Self>
    where
        H: Fn(ReceivedRequest) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<AnswerBody>, HangUp>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, handle.clone()));
            }
        });
        Ok(Self { address, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpPeer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve<H, F>(stream: TcpStream, handle: H)
where
    H: Fn(ReceivedRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<AnswerBody>, HangUp>> + Send + 'static,
{
    // Chunks leave one by one, as the tests send them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let handle = handle.clone();
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else { return Err(HangUp) };
            let received = ReceivedRequest {
                method: head.method,
                uri: head.uri,
                headers: head.headers,
                body: body.to_bytes(),
                arrived: Instant::now(),
            };
            handle(received).await
        }
    });
    // An error here is a client that left or a connection that was broken on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A list that grows while others wait for what it will hold.
pub(crate) struct Recorded<T> {
    items: Mutex<Vec<T>>,
    grown: Notify,
}

impl<T> Default for Recorded<T> {
    fn default() -> Self {
        Self { items: Mutex::new(Vec::new()), grown: Notify::new() }
    }
}

impl<T> Recorded<T> {
    pub(crate) fn push(&self, item: T) {
        self.extend([item]);
    }

    pub(crate) fn extend(&self, items: impl IntoIterator<Item = T>) {
        self.lock().extend(items);
        self.grown.notify_waiters();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` gives something for the list.
    pub(crate) async fn wait<R>(&self, mut find: impl FnMut(&[T]) -> Option<R>) -> R {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            // Before looking, so that what comes in between wakes us.
            grown.as_mut().enable();
            if let Some(found) = find(&self.lock()) {
                return found;
            }
            grown.await;
        }
    }
}

/// A list that a server and a test share.
pub(crate) type SharedRecord<T> = Arc<Recorded<T>>;
