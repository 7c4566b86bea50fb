//! A provider that does what a test tells it, step by step.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::ports::{Answer, AnswerStream, Call, Provider, ProviderError, Remote, StreamEvent};

type Step = Result<StreamEvent, ProviderError>;

/// Plays one stream, or panics when asked for a whole answer.
pub(crate) struct Scripted {
    remote: Remote,
    steps: Mutex<Option<UnboundedReceiver<Step>>>,
    /// What it was called with.
    pub(crate) calls: Mutex<Vec<Call>>,
}

impl Scripted {
    /// The provider, and the end by which the test moves it. That end is closed when the call is given up.
    pub(crate) fn new() -> (Arc<Self>, UnboundedSender<Step>) {
        let (sender, receiver) = unbounded_channel();
        let remote = Remote { host: "provider.example".to_owned(), port: 443 };
        (Arc::new(Self { remote, steps: Mutex::new(Some(receiver)), calls: Mutex::default() }), sender)
    }
}

#[async_trait]
impl Provider for Scripted {
    fn remote(&self) -> Option<&Remote> {
        Some(&self.remote)
    }

    fn offers(&self, model: &str) -> bool {
        model != "gpt-4.1-mini"
    }

    async fn complete(&self, _call: Call) -> Result<Answer, ProviderError> {
        panic!("only streams are scripted");
    }

    fn stream(&self, call: Call) -> AnswerStream {
        self.calls.lock().unwrap().push(call);
        let steps = self.steps.lock().unwrap().take().expect("one call at most");
        stream::unfold(steps, |mut steps| async { Some((steps.recv().await?, steps)) }).boxed()
    }
}

/// A chunk with one delta.
pub(crate) fn delta(delta: &str) -> StreamEvent {
    StreamEvent::Chunk(format!(r#"{{"id":"a","model":"m-1","choices":[{{"index":0,"delta":{delta}}}]}}"#))
}

/// A chunk with text.
pub(crate) fn text(text: &str) -> StreamEvent {
    delta(&format!(r#"{{"content":"{text}"}}"#))
}

/// The chunk that says why the answer ends.
pub(crate) fn finish() -> StreamEvent {
    StreamEvent::Chunk(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned())
}

/// The chunk that comes only when asked for.
pub(crate) fn usage() -> StreamEvent {
    StreamEvent::Chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#.to_owned())
}
