//! The clients of a soak.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, Response};
use tokio::{task::JoinSet, time::timeout};

use super::{
    ledger::{Ledger, Seen},
    mix::{Ask, Kind, Manner, kind},
    upstream::{Behaviour, MARK},
};
use crate::http_client;

/// When a client leaves that does not wait for the answer of a slow upstream.
const EARLY: Duration = Duration::from_millis(300);
/// How long a client does not read.
const STALL: Duration = Duration::from_millis(700);
/// Parts of a stream that are read before its client leaves.
const FIRST_WORDS: usize = 3;

/// Clients of one backend with connections of their own, closed when all of it is dropped.
#[derive(Clone)]
pub(super) struct Traffic {
    client: Client,
    backend: SocketAddr,
    ledger: Arc<Ledger>,
    sent: Arc<AtomicUsize>,
    by_fallback: Arc<AtomicUsize>,
}

impl Traffic {
    pub(super) fn new(backend: SocketAddr, ledger: Arc<Ledger>) -> Self {
        Self { client: http_client::new(), backend, ledger, sent: Arc::default(), by_fallback: Arc::default() }
    }

    /// Answers so far that came from the last one of a plan.
    pub(super) fn answered_by_fallback(&self) -> usize {
        self.by_fallback.load(Ordering::Relaxed)
    }

    /// So many clients at a time for so long, then waits for their last requests, but each no longer than `bound`. How
    /// many had not ended by then.
    pub(super) async fn drive(&self, clients: usize, duration: Duration, pause: Duration, bound: Duration) -> usize {
        let until = Instant::now() + duration;
        let mut working = JoinSet::new();
        for _ in 0..clients {
            let traffic = self.clone();
            working.spawn(async move {
                while Instant::now() < until {
                    if timeout(bound, traffic.next()).await.is_err() {
                        return 1;
                    }
                    tokio::time::sleep(pause).await;
                }
                0
            });
        }
        working.join_all().await.into_iter().sum()
    }

    /// A request that its provider answers; gives its status.
    pub(super) async fn send_ordinary(&self, ask: Ask) -> Option<u16> {
        self.send_and_read(ask, Behaviour::Answer).await
    }

    /// A request that the upstream holds; gives its status.
    pub(super) fn send_held(&self, ask: Ask) -> impl Future<Output = Option<u16>> + Send + 'static {
        let traffic = self.clone();
        async move { traffic.send_and_read(ask, Behaviour::Hold).await }
    }

    async fn send_and_read(&self, ask: Ask, behaviour: Behaviour) -> Option<u16> {
        match self.one(Kind::plain(ask, behaviour)).await {
            Seen::Answered(status) => Some(status),
            _ => None,
        }
    }

    async fn next(&self) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        self.one(kind(number)).await;
    }

    /// One request from its beginning to its end, both in the ledger.
    async fn one(&self, kind: Kind) -> Seen {
        let (number, id) = self.ledger.begin();
        let seen = match self.exchange(&id, kind).await {
            Ok(seen) => seen,
            Err(error) => Seen::Wrong(format!("{kind:?}: {error:?}")),
        };
        self.ledger.saw(number, seen.clone());
        seen
    }

    async fn exchange(&self, id: &str, kind: Kind) -> reqwest::Result<Seen> {
        let Kind { ask, behaviour, stream, manner } = kind;
        let prompt = format!("Answer as the soak wants it: {MARK}{}", behaviour.name());
        let body = ask.dialect().request(ask.model(), &prompt, stream);
        let url = format!("http://{}{}", self.backend, ask.dialect().path());
        let request = self.client.post(url).header("x-request-id", id).json(&body).send();
        let mut answer = if manner == Manner::LeavesEarly {
            match timeout(EARLY, request).await {
                Ok(answer) => answer?,
                Err(_) => return Ok(Seen::Left),
            }
        } else {
            request.await?
        };
        let by = answer.headers().get("x-goblin-model").and_then(|model| model.to_str().ok()).unwrap_or_default();
        if ask == Ask::Fallback && by.starts_with("anthropic/") {
            self.by_fallback.fetch_add(1, Ordering::Relaxed);
        }
        let is_streaming = stream && answer.status().is_success();
        if matches!(manner, Manner::LeavesLater | Manner::Stalls) && is_streaming {
            for _ in 0..FIRST_WORDS {
                answer.chunk().await?;
            }
            if manner == Manner::Stalls {
                tokio::time::sleep(STALL).await;
            }
            return Ok(Seen::Left);
        }
        read_to_its_end(answer, kind, is_streaming).await
    }
}

/// A stream has its API's end or an error event, and a broken one the latter.
async fn read_to_its_end(answer: Response, kind: Kind, is_streaming: bool) -> reqwest::Result<Seen> {
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    if !is_streaming {
        return Ok(Seen::Answered(status));
    }
    Ok(match kind.ask.dialect().is_whole_and_failed(&text) {
        // Where another provider may take over, it says all of it.
        (true, false) if kind.behaviour == Behaviour::Cut && kind.ask != Ask::Fallback => {
            Seen::Wrong("a stream that was cut seems whole".to_owned())
        }
        (true, false) => Seen::Answered(status),
        (false, true) => Seen::StreamFailed,
        (is_whole, is_failed) => Seen::Wrong(format!("a stream with an end: {is_whole}, with an error: {is_failed}")),
    })
}
