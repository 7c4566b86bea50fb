//! An answer on its way to the client. Its body stays a JavaScript value: a stream, or what was read of a short one.

use std::{future::Future, pin::Pin};

use goblin_shared::request_id::RequestId;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, Response, StreamPipeOptions, WritableStream};

use super::{Incoming, runtime};
use crate::{forward::BackendHead, refusal::OwnAnswer, telemetry::Ending};

/// What the event handler returns.
pub(crate) type Answered = worker::Result<Response>;

#[wasm_bindgen]
extern "C" {
    /// workerd's own pipe: bytes pass natively, none goes through JavaScript.
    type IdentityTransformStream;

    #[wasm_bindgen(constructor)]
    fn new() -> IdentityTransformStream;

    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;

    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> WritableStream;

    /// What `forward` of `runtime.js` resolves with.
    #[derive(Clone)]
    pub(super) type Exchange;

    #[wasm_bindgen(method, getter)]
    fn head(this: &Exchange) -> String;

    #[wasm_bindgen(method, getter)]
    fn body(this: &Exchange) -> JsValue;

    #[wasm_bindgen(method, getter, js_name = isWhole)]
    fn is_whole(this: &Exchange) -> Option<bool>;

    #[wasm_bindgen(method, getter)]
    fn broken(this: &Exchange) -> Option<String>;
}

/// The backend's answer, as fetched: nothing can be changed on it yet.
pub(crate) struct Fetched {
    exchange: Exchange,
    /// What the edge reads of its head.
    pub(crate) head: BackendHead,
}

impl Fetched {
    /// The error is why its body broke off.
    pub(super) fn new(exchange: Exchange) -> Result<Self, String> {
        match exchange.broken() {
            Some(why) => Err(why),
            None => Ok(Self { head: BackendHead::from_lines(&exchange.head()), exchange }),
        }
    }

    /// Makes it ours, with `more` fields beside the backend's. When `is_watched`, the end of its body is told.
    pub(crate) fn adopt(
        self,
        incoming: &Incoming,
        request_id: RequestId,
        server_timing: &str,
        more: &[(&'static str, String)],
        is_watched: bool,
    ) -> Answer {
        let body = self.exchange.body();
        let (body, end) = match body.dyn_into::<ReadableStream>() {
            Ok(stream) if is_watched && !self.exchange.is_whole().unwrap_or(false) => {
                let (readable, end) = watched(&stream, incoming);
                (readable.into(), Some(end))
            }
            Ok(stream) => (stream.into(), None),
            Err(other) => (other, None),
        };
        let request_id = request_id.to_string();
        let is_https = incoming.is_https();
        let response = runtime::adopt(&self.exchange, &body, &request_id, server_timing, &lines(more), is_https);
        Answer { response, status: self.head.status, end }
    }
}

type End = Pin<Box<dyn Future<Output = Ending>>>;

/// Sends a stream through a pipe that tells its end, without touching its bytes.
fn watched(stream: &ReadableStream, incoming: &Incoming) -> (ReadableStream, End) {
    let pipe = IdentityTransformStream::new();
    let signal = incoming.signal();
    let options = StreamPipeOptions::new();
    options.set_signal(&signal);
    let done = stream.pipe_to_with_options(&pipe.writable(), &options);
    let end = async move {
        match JsFuture::from(done).await {
            Ok(_) => Ending::Complete,
            Err(_) if signal.aborted() => Ending::ClientLeft,
            Err(_) => Ending::Broken,
        }
    };
    (pipe.readable(), Box::pin(end))
}

/// A response, or the runtime's reason why there is none.
pub(crate) struct Answer {
    response: Result<Response, JsValue>,
    status: u16,
    /// Resolves when the body ends; none when it is here already, or nobody wants to know.
    end: Option<End>,
}

impl Answer {
    /// Status of a request whose client did not wait for its answer; only telemetry sees it.
    const CLIENT_LEFT: u16 = 499;

    /// What is returned when nobody is there to read it.
    pub(crate) fn client_left(incoming: &Incoming) -> Self {
        Self::of(Self::CLIENT_LEFT, None, &[], incoming)
    }

    /// An answer that the edge gives itself.
    pub(crate) fn own(own: &OwnAnswer, incoming: &Incoming) -> Self {
        Self::of(own.status, (own.status != 204).then_some(own.body.as_str()), &own.headers, incoming)
    }

    fn of(status: u16, body: Option<&str>, fields: &[(&'static str, String)], incoming: &Incoming) -> Self {
        let response = runtime::own(status, body, &lines(fields), incoming.is_https());
        Self { response, status, end: None }
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        if self.response.is_ok() { self.status } else { 500 }
    }

    /// Takes what waits for the body's end.
    pub(crate) fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// For the runtime.
    pub(crate) fn into_raw(self) -> Answered {
        self.response.map_err(Into::into)
    }
}

/// Fields as `name,value`, a line each. Our own values hold no line break.
fn lines(fields: &[(&'static str, String)]) -> String {
    let mut lines = String::with_capacity(256);
    for (name, value) in fields {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.extend([name, ",", value]);
    }
    lines
}
