//! Sends spans to the collector.

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestInit, Response, WorkerGlobalScope};

use super::{backend::text, console};
use crate::{
    config::OtlpConfig,
    identify::Identity,
    telemetry::{RequestRecord, encode},
};

/// How long a collector may take; the request itself is over by then.
const PATIENCE_MS: u32 = 10_000;

/// Exports the spans of one request. A collector that fails is told in the log, and hurts nobody.
pub(crate) async fn export(otlp: &OtlpConfig, identity: &Identity, record: &RequestRecord<'_>) {
    if let Err(error) = send(otlp, &encode(otlp, record)).await {
        console::error(identity, &format!("spans were not exported: {error}"));
    }
}

async fn send(otlp: &OtlpConfig, body: &[u8]) -> Result<(), String> {
    let thrown = |error: JsValue| text(&error);
    let headers = Headers::new().map_err(thrown)?;
    headers.set("content-type", "application/x-protobuf").map_err(thrown)?;
    for (name, value) in &otlp.headers {
        headers.set(name, value).map_err(thrown)?;
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers_headers(&headers);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(PATIENCE_MS)));
    init.set_body(&Uint8Array::from(body));
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(scope.fetch_with_str_and_init(&otlp.traces_url, &init)).await.map_err(thrown)?;
    let answer: Response = answer.unchecked_into();
    // A body that nobody reads would hold the connection.
    if let Some(body) = answer.body() {
        drop(body.cancel());
    }
    if answer.ok() { Ok(()) } else { Err(format!("the collector answered {}", answer.status())) }
}
