//! An answer on its way to the client. Its body stays a JavaScript stream.

use std::{future::Future, pin::Pin};

use goblin_shared::{headers::SERVER_TIMING, request_id::RequestId};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, Response, ResponseInit, StreamPipeOptions, WritableStream};

use super::{Incoming, runtime};
use crate::{refusal::OwnAnswer, telemetry::Ending};

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
}

/// A response, or the runtime's reason why there is none.
pub(crate) struct Answer(Result<Response, JsValue>);

impl Answer {
    /// Status of a request whose client did not wait for its answer; only telemetry sees it.
    const CLIENT_LEFT: u16 = 499;

    /// What is returned when nobody is there to read it.
    pub(crate) fn client_left() -> Self {
        let init = ResponseInit::new();
        init.set_status(Self::CLIENT_LEFT);
        Self(Response::new_with_opt_str_and_init(None, &init))
    }

    /// An answer that the edge gives itself.
    pub(crate) fn own(own: &OwnAnswer) -> Self {
        let init = ResponseInit::new();
        init.set_status(own.status);
        let response = Response::new_with_opt_str_and_init((own.status != 204).then_some(own.body.as_str()), &init)
            .and_then(|response| {
                for (name, value) in &own.headers {
                    response.headers().set(name, value)?;
                }
                Ok(response)
            });
        Self(response)
    }

    /// The backend's answer, as fetched: nothing can be changed on it yet.
    pub(super) fn fetched(response: Response) -> Self {
        Self(Ok(response))
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.0.as_ref().map_or(500, Response::status)
    }

    /// What the backend says of its own durations.
    pub(crate) fn server_timing(&self) -> String {
        self.0.as_ref().ok().and_then(|response| response.headers().get(SERVER_TIMING).ok()?).unwrap_or_default()
    }

    /// Makes the backend's answer ours: its head may be changed from here on. `more` are fields beside the backend's.
    pub(crate) fn adopt(self, request_id: RequestId, server_timing: &str, more: &[(&'static str, String)]) -> Self {
        let lines: Vec<_> = more.iter().map(|(name, value)| format!("{name},{value}")).collect();
        let (request_id, more) = (request_id.to_string(), lines.join("\n"));
        Self(self.0.and_then(|fetched| runtime::adopt(&fetched, &request_id, server_timing, &more)))
    }

    /// Waits for the end of the body, without touching its bytes: they go through a native pipe that tells.
    pub(crate) fn watch_end(&mut self, incoming: &Incoming) -> Pin<Box<dyn Future<Output = Ending>>> {
        let piped = self.0.as_ref().ok().and_then(|response| Some((response, response.body()?)));
        let Some((response, body)) = piped else { return Box::pin(async { Ending::Complete }) };
        let pipe = IdentityTransformStream::new();
        let signal = incoming.signal();
        let options = StreamPipeOptions::new();
        options.set_signal(&signal);
        match renewed(Some(&pipe.readable()), response) {
            Ok(response) => {
                let done = body.pipe_to_with_options(&pipe.writable(), &options);
                self.0 = Ok(response);
                Box::pin(async move {
                    match JsFuture::from(done).await {
                        Ok(_) => Ending::Complete,
                        Err(_) if signal.aborted() => Ending::ClientLeft,
                        Err(_) => Ending::Broken,
                    }
                })
            }
            Err(error) => {
                self.0 = Err(error);
                Box::pin(async { Ending::Broken })
            }
        }
    }

    /// For the runtime.
    pub(crate) fn into_raw(self) -> Answered {
        self.0.map_err(Into::into)
    }
}

/// The same status and head with another body. Answers without a body keep none.
fn renewed(body: Option<&ReadableStream>, like: &Response) -> Result<Response, JsValue> {
    Response::new_with_opt_readable_stream_and_init(body, like.unchecked_ref::<ResponseInit>())
}
