//! The fetch to the backend.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};

use super::{body::Body, runtime};
use crate::{config::EdgeConfig, forward::OutgoingHead};

/// Why there is no answer of the backend.
#[derive(Debug)]
pub(crate) enum BackendError {
    /// The fetch failed; with the runtime's reason.
    Unreachable(String),
    /// No head of an answer in time.
    TimedOut,
    /// The client has left before there was one.
    ClientLeft,
}

impl From<JsValue> for BackendError {
    fn from(error: JsValue) -> Self {
        Self::Unreachable(text(&error))
    }
}

/// Sends a request on, with the client's own head but for what `head` changes. The fetch ends when the client leaves.
pub(crate) async fn fetch(
    original: &Request,
    head: &OutgoingHead,
    body: Option<Body>,
    config: &EdgeConfig,
) -> Result<Response, BackendError> {
    // Where nothing holds the request, the runtime itself ends the fetch when the client leaves, and costs less.
    let signal = config.otlp.is_some().then(|| original.signal());
    let body = body.map_or(JsValue::UNDEFINED, Body::into_value);
    let patience = config.first_byte_timeout_ms;
    let answer = runtime::forward(original, &head.url, &head.remove_lines(), &head.set_lines(), body, patience, signal);
    let answer = JsFuture::from(answer).await?;
    if answer.is_undefined() {
        Err(BackendError::TimedOut)
    } else if answer.is_null() {
        Err(BackendError::ClientLeft)
    } else {
        Ok(answer.unchecked_into())
    }
}

/// The message of a thrown value.
pub(super) fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
