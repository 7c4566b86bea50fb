//! What the upstream does with a request.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::http_peer::ReceivedRequest;

/// What the upstream does with each request of a scenario.
pub enum Script {
    /// Answers as a provider that works, in one piece or as a stream: text, calls of tools, JSON that fits a schema,
    /// vectors, with usage. A request that the real provider would refuse is refused in its words.
    Friendly,
    /// Answers 200 with this JSON.
    Json(Value),
    /// Answers 200 with these chunks as events and the family's last word (`[DONE]`, `message_stop`), all at once.
    Stream(Vec<Value>),
    /// See [`Script::lock_step`].
    LockStep(OneUse),
    /// Answers with a status, head fields and a JSON body.
    Status {
        /// Status code.
        status: StatusCode,
        /// Head fields, such as `retry-after`.
        headers: HeaderMap,
        /// Body, sent as `application/json` unless `headers` say otherwise.
        body: StatusBody,
    },
    /// Answers 200 with any bytes.
    Raw {
        /// The field `content-type`.
        content_type: String,
        /// Body.
        body: Bytes,
    },
    /// Closes the connection without an answer.
    HangUp,
    /// Waits before the head, then does the other. For time-outs; what waits for a condition uses [`Script::held`].
    After(Duration, Box<Script>),
    /// See [`Script::held`].
    Held(Gate, Box<Script>),
    /// See [`Script::in_turn`].
    InTurn(Turns),
    /// Looks at the request, such as its path or key, and does what it is told then.
    Chosen(Box<dyn Fn(&ReceivedRequest) -> Script + Send + Sync>),
}

/// Body of an answer with a status.
#[derive(Clone, Debug)]
pub enum StatusBody {
    /// These bytes.
    Bytes(Bytes),
    /// An error that says this, in the words of the family that is asked.
    Message(String),
}

impl Script {
    /// A stream of which the test sends each step. The head goes out at once. For one request.
    #[must_use]
    pub fn lock_step() -> (Self, Steps) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self::LockStep(OneUse(Mutex::new(Some(receiver)))), Steps { sender })
    }

    /// Sends nothing until the test releases it (or drops the release), then does the other.
    #[must_use]
    pub fn held(then: Self) -> (Self, Release) {
        let (sender, receiver) = watch::channel(());
        (Self::Held(Gate { receiver }, Box::new(then)), Release { _sender: sender })
    }

    /// The first for the first request, the second for the second, the last for all that come later.
    #[must_use]
    pub fn in_turn(scripts: Vec<Self>) -> Self {
        assert!(!scripts.is_empty(), "no script to play");
        Self::InTurn(Turns { scripts, played: AtomicUsize::new(0) })
    }

    /// Whatever `choose` says to each request.
    #[must_use]
    pub fn chosen(choose: impl Fn(&ReceivedRequest) -> Self + Send + Sync + 'static) -> Self {
        Self::Chosen(Box::new(choose))
    }

    /// An error as the family that is asked words it, with head fields.
    #[must_use]
    pub fn error(status: u16, message: &str, headers: &[(&'static str, &'static str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).expect("a status code");
        Self::Status { status, headers, body: StatusBody::Message(message.to_owned()) }
    }
}

/// Scripts of which each request gets the next.
pub struct Turns {
    scripts: Vec<Script>,
    played: AtomicUsize,
}

impl Turns {
    pub(super) fn next(&self) -> &Script {
        let turn = self.played.fetch_add(1, Ordering::Relaxed).min(self.scripts.len() - 1);
        &self.scripts[turn]
    }
}

/// Keeps a held script waiting until dropped.
pub struct Release {
    _sender: watch::Sender<()>,
}

impl Release {
    /// Lets the script go on.
    pub fn release(self) {}
}

/// Where a held script waits.
pub struct Gate {
    receiver: watch::Receiver<()>,
}

impl Gate {
    pub(super) async fn passed(&self) {
        // Nothing is ever sent: the end of the sender is the signal.
        while self.receiver.clone().changed().await.is_ok() {}
    }
}

/// Steps that the first request takes.
pub struct OneUse(Mutex<Option<StepsToPlay>>);

impl OneUse {
    pub(super) fn take(&self) -> Option<StepsToPlay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The steps of one answer.
pub(super) type StepsToPlay = mpsc::UnboundedReceiver<Step>;

/// One step of an answer.
pub(super) enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Says this in the family's words.
    Say(Words),
    /// Breaks the connection.
    Cut,
}

/// What is said to those who are asking. How it looks on the wire is known when a request has come.
pub(super) enum Words {
    /// An event.
    Chunk(Value),
    /// An event with this text.
    Text(String),
    /// Why the answer ends, the last word, and the end of the body.
    Finish,
    /// The last word, and the end of the body.
    Done,
}

impl Words {
    pub(super) fn end_the_body(&self) -> bool {
        matches!(self, Self::Finish | Self::Done)
    }
}

/// The test's end of a lock-step stream. Dropping it ends the body in good order, without a last word.
pub struct Steps {
    sender: mpsc::UnboundedSender<Step>,
}

impl Steps {
    /// Sends a chunk as an event.
    pub fn chunk(&self, chunk: &Value) {
        self.step(Step::Say(Words::Chunk(chunk.clone())));
    }

    /// Sends a chunk that says `text`, as the family that was asked words it.
    pub fn text(&self, text: &str) {
        self.step(Step::Say(Words::Text(text.to_owned())));
    }

    /// Sends bytes as they are.
    pub fn raw(&self, bytes: impl Into<Bytes>) {
        self.step(Step::Send(bytes.into()));
    }

    /// Ends the answer as one that is complete: the reason why it ends, the last word, the end of the body.
    pub fn finish(self) {
        self.step(Step::Say(Words::Finish));
    }

    /// Sends the last event, `[DONE]` or `message_stop` (Gemini has none), and ends the body.
    pub fn done(self) {
        self.step(Step::Say(Words::Done));
    }

    /// Breaks the connection in mid-body.
    pub fn cut(self) {
        self.step(Step::Cut);
    }

    fn step(&self, step: Step) {
        // The client may have left, which is what some tests are about: `Scenario::closed` tells it.
        let _ = self.sender.send(step);
    }
}
