//! The fetch to a backend.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Request;

use super::{answer::Fetched, body::Body, runtime};
use crate::forward::OutgoingHead;

/// Why there is no answer of a backend.
#[derive(Debug)]
pub(crate) enum BackendError {
    /// The fetch failed; with the runtime's reason.
    Unreachable(String),
    /// No head of an answer in time.
    TimedOut,
    /// The answer began, and broke off; with the runtime's reason.
    BrokeOff(String),
    /// The client has left before there was one.
    ClientLeft,
}

impl BackendError {
    /// As telemetry names it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "backend_unreachable",
            Self::TimedOut => "backend_timeout",
            Self::BrokeOff(_) => "backend_broke_off",
            Self::ClientLeft => "client_left",
        }
    }
}

/// Answers up to this length, in bytes, are read before they go on: that costs less than a stream, tells their end, and
/// one that breaks off is an error with a status instead of a broken transfer.
const WHOLE_BYTES: u32 = 65_536;

/// Sends a request on, with the client's own head but for what `head` changes. The fetch ends when the client leaves.
/// `is_held`: the request goes on after its client has left, unless it is told.
pub(super) async fn fetch(
    original: &Request,
    head: &OutgoingHead,
    body: Option<&Body>,
    patience_ms: u32,
    is_held: bool,
) -> Result<Fetched, BackendError> {
    // Where nothing holds the request, the runtime itself ends the fetch when the client leaves, and costs less.
    let signal = is_held.then(|| original.signal());
    let whole = if original.method() == "HEAD" { 0 } else { WHOLE_BYTES };
    let body = body.map_or(JsValue::UNDEFINED, |body| body.value().clone());
    let (remove, set) = (head.remove_lines(), head.set_lines());
    let exchange = runtime::forward(original, &head.url, &remove, &set, body, patience_ms, signal, whole);
    let exchange = JsFuture::from(exchange).await.map_err(|error| BackendError::Unreachable(text(&error)))?;
    if exchange.is_undefined() {
        Err(BackendError::TimedOut)
    } else if exchange.is_null() {
        Err(BackendError::ClientLeft)
    } else {
        let fetched = Fetched::new(exchange.unchecked_into()).map_err(BackendError::BrokeOff)?;
        match (fetched.head.unreachable(), fetched.head.broken()) {
            (Some(why), _) => Err(BackendError::Unreachable(why)),
            (None, Some(why)) => Err(BackendError::BrokeOff(why)),
            (None, None) => Ok(fetched),
        }
    }
}

/// The message of a thrown value.
pub(super) fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
