//! A provider that does what a test tells it, call by call and step by step.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::ports::{
    Answer, AnswerOptions, AnswerStream, Call, Chunk, ClientRequest, Inexpressible, Learnt, Prepared, Provider,
    ProviderError, Remote, StreamEvent, Usage,
};

/// One thing that happens in a stream.
pub(crate) type Step = Result<StreamEvent, ProviderError>;

/// Plays the scripts it was given, one a call, in their order; panics when called more often.
pub(crate) struct Scripted {
    remote: Remote,
    streams: Mutex<VecDeque<UnboundedReceiver<Step>>>,
    answers: Mutex<VecDeque<Result<Answer, ProviderError>>>,
    calls: Mutex<Vec<Call>>,
}

impl Scripted {
    /// A provider at `<name>.example` that offers all models but `gpt-4.1-mini`.
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            remote: Remote { host: format!("{name}.example"), port: 443 },
            streams: Mutex::default(),
            answers: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// Scripts one more stream, which is moved by what is returned. That end is closed when the call is given up.
    pub(crate) fn then_stream(&self) -> UnboundedSender<Step> {
        let (sender, receiver) = unbounded_channel();
        self.streams.lock().unwrap().push_back(receiver);
        sender
    }

    /// Scripts one more whole answer.
    pub(crate) fn then_complete(&self, answer: Result<Answer, ProviderError>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    /// What it was called with so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
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

    fn prepare(&self, request: &ClientRequest, model: &str) -> Result<Prepared, Inexpressible> {
        Ok(Prepared {
            api: request.api,
            body: request.body.clone(),
            upstream_model: model.to_owned(),
            include_usage: request.include_usage,
            headers: Vec::new(),
            answer_options: AnswerOptions::default(),
            request_id: request.request_id,
        })
    }

    async fn complete(&self, call: Call) -> Result<Answer, ProviderError> {
        self.calls.lock().unwrap().push(call);
        self.answers.lock().unwrap().pop_front().expect("no more whole answers are scripted")
    }

    fn stream(&self, call: Call) -> AnswerStream {
        self.calls.lock().unwrap().push(call);
        let steps = self.streams.lock().unwrap().pop_front().expect("no more streams are scripted");
        stream::unfold(steps, |mut steps| async { Some((steps.recv().await?, steps)) }).boxed()
    }
}

fn chunk(data: String, content: bool) -> StreamEvent {
    StreamEvent::Chunk(Chunk { event: None, data, content })
}

/// A chunk with one delta, which is content unless it is empty.
pub(crate) fn delta(delta: &str) -> StreamEvent {
    let data = format!(r#"{{"id":"a","model":"m-1","choices":[{{"index":0,"delta":{delta}}}]}}"#);
    chunk(data, delta != "{}")
}

/// A chunk with text.
pub(crate) fn text(text: &str) -> StreamEvent {
    delta(&format!(r#"{{"content":"{text}"}}"#))
}

/// What is known from the beginning.
pub(crate) fn begun() -> StreamEvent {
    StreamEvent::Learnt(Learnt { id: Some("a".to_owned()), model: Some("m-1".to_owned()), ..Learnt::default() })
}

/// Why the answer ends: as news, and as a chunk.
pub(crate) fn finish() -> [StreamEvent; 2] {
    let news = Learnt { finish_reason: Some("stop".to_owned()), ..Learnt::default() };
    let data = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    [StreamEvent::Learnt(news), chunk(data.to_owned(), false)]
}

/// What the answer cost: as news, and as the chunk that comes only when asked for.
pub(crate) fn usage() -> [StreamEvent; 2] {
    let usage = Usage { prompt_tokens: 3, completion_tokens: 4, ..Usage::default() };
    let data = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    [StreamEvent::Learnt(Learnt { usage: Some(usage), ..Learnt::default() }), chunk(data.to_owned(), false)]
}
