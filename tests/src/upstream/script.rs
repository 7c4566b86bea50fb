//! What the upstream does with a request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::friendly;

/// What the upstream does with each request of a scenario.
pub enum Script {
    /// Answers as a provider that works: a completion or a stream, with usage where it was asked for.
    Friendly,
    /// Answers 200 with this JSON.
    Json(Value),
    /// Answers 200 with these chunks as events and `[DONE]`, all at once.
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
        body: Bytes,
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

    /// An error as OpenAI words it, with head fields.
    #[must_use]
    pub fn error(status: u16, message: &str, headers: &[(&'static str, &'static str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).expect("a status code");
        Self::Status { status, headers, body: friendly::error_body(message).to_string().into() }
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
    /// Breaks the connection.
    Cut,
    /// Ends the body in good order.
    End,
}

/// The test's end of a lock-step stream. Dropping it ends the body in good order, without `[DONE]`.
pub struct Steps {
    sender: mpsc::UnboundedSender<Step>,
}

impl Steps {
    /// Sends a chunk as an event.
    pub fn chunk(&self, chunk: &Value) {
        self.raw(friendly::event(chunk));
    }

    /// Sends a chunk that says `text`, as OpenAI words it.
    pub fn text(&self, text: &str) {
        self.chunk(&friendly::text_chunk("upstream", text));
    }

    /// Sends bytes as they are.
    pub fn raw(&self, bytes: impl Into<Bytes>) {
        self.step(Step::Send(bytes.into()));
    }

    /// Sends the last event, `[DONE]`, and ends the body.
    pub fn done(self) {
        self.raw(friendly::DONE);
        self.step(Step::End);
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
