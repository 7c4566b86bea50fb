//! The fetch to the backend.

use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response, WorkerGlobalScope,
};
use worker::Delay;

use super::body::Body;
use crate::{
    config::EdgeConfig,
    facts::RequestFacts,
    forward::{OutgoingHead, is_forged},
};

/// Why there is no answer of the backend.
#[derive(Debug)]
pub(crate) enum BackendError {
    /// The fetch failed; with the runtime's reason.
    Unreachable(String),
    /// No head of an answer in time.
    TimedOut,
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
    facts: &RequestFacts,
    body: Option<Body>,
    config: &EdgeConfig,
) -> Result<Response, BackendError> {
    let timeout = AbortController::new()?;
    let init = RequestInit::new();
    init.set_method(&facts.method);
    init.set_headers_headers(&outgoing_headers(&original.headers(), head)?);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::any(&Array::of(&[original.signal(), timeout.signal()]))));
    if let Some(body) = body {
        init.set_body(&body.into_value());
    }
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(scope.fetch_with_str_and_init(&head.url, &init));
    let patience = Delay::from(Duration::from_millis(config.first_byte_timeout_ms.into()));
    match select(answer, patience).await {
        Either::Left((answer, _)) => Ok(answer?.unchecked_into()),
        Either::Right(_) => {
            timeout.abort();
            Err(BackendError::TimedOut)
        }
    }
}

fn outgoing_headers(original: &Headers, head: &OutgoingHead) -> Result<Headers, JsValue> {
    let headers = Headers::new_with_headers(original)?;
    for name in original.keys().into_iter().flatten().filter_map(|name| name.as_string()).filter(|name| is_forged(name))
    {
        headers.delete(&name)?;
    }
    for name in &head.remove {
        headers.delete(name)?;
    }
    for (name, value) in &head.set {
        headers.set(name, value)?;
    }
    Ok(headers)
}

/// The message of a thrown value.
pub(super) fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
