//! Sends spans and counts to the collector.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestInit, Response, WorkerGlobalScope};

use super::{Incoming, backend::text, console, now, runtime};
use crate::{
    admit::Record,
    config::OtlpConfig,
    identify::Identity,
    telemetry::{Counts, RequestRecord, encode},
};

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
    static INSTANCE: OnceCell<Rc<str>> = const { OnceCell::new() };
}

/// How long a collector may take; the request itself is over by then.
const PATIENCE_MS: u32 = 10_000;
/// The runtime lets work go on for 30 seconds after an answer; what is cut off then is lost.
const GRANTED_MS: u32 = 28_000;

/// Exports the spans of one request. A collector that fails is told in the log, and hurts nobody.
pub(crate) async fn export(otlp: &OtlpConfig, identity: &Identity, record: &RequestRecord<'_>) {
    let Some(url) = &otlp.traces_url else { return };
    if let Err(error) = send(otlp, url, &encode(otlp, &instance(), record), PATIENCE_MS).await {
        console::error(identity, &format!("spans were not exported: {}", error.why));
    }
}

/// Counts what was decided on a request. The first of a while waits for others to come and sends all together, after the
/// answer; what the collector does not take goes with the next.
pub(crate) fn count(incoming: &Incoming, otlp: &OtlpConfig, identity: &Identity, record: &Record) {
    let Some(url) = otlp.metrics_url.clone() else { return };
    let now = now();
    let is_ours_to_send = COUNTS.with_borrow_mut(|counts| {
        record.counts().fold(false, |is_ours, (decision, reason)| counts.count(decision, reason, now) || is_ours)
    });
    if is_ours_to_send {
        let (otlp, identity) = (otlp.clone(), identity.clone());
        incoming.afterwards(async move {
            // A timer does not fail.
            let _ = JsFuture::from(runtime::sleep(otlp.metric_interval_ms)).await;
            let counts = COUNTS.with_borrow_mut(Counts::take);
            let body = counts.encode(&otlp, &instance(), super::now());
            let patience = PATIENCE_MS.min(GRANTED_MS - otlp.metric_interval_ms);
            if let Err(error) = send(&otlp, &url, &body, patience).await {
                console::error(&identity, &format!("metrics were not exported: {}", error.why));
                if error.may_succeed_later {
                    COUNTS.with_borrow_mut(|waiting| waiting.put_back(counts));
                }
            }
        });
    }
}

/// Which of the service's many isolates this is.
fn instance() -> Rc<str> {
    INSTANCE.with(|instance| {
        let fresh = || {
            let mut random = [0; 16];
            getrandom::fill(&mut random).expect("the runtime has a source of randomness");
            uuid::Builder::from_random_bytes(random).into_uuid().to_string().into()
        };
        Rc::clone(instance.get_or_init(fresh))
    })
}

/// Why a collector did not take something.
struct NotTaken {
    why: String,
    /// As OTLP/HTTP says it: not after an answer that refuses the data itself.
    may_succeed_later: bool,
}

async fn send(otlp: &OtlpConfig, url: &str, body: &[u8], patience_ms: u32) -> Result<(), NotTaken> {
    let thrown = |error: JsValue| NotTaken { why: text(&error), may_succeed_later: true };
    let headers = Headers::new().map_err(thrown)?;
    headers.set("content-type", "application/x-protobuf").map_err(thrown)?;
    for (name, value) in &otlp.headers {
        headers.set(name, value).map_err(thrown)?;
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers_headers(&headers);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(patience_ms)));
    init.set_body(&Uint8Array::from(body));
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = JsFuture::from(scope.fetch_with_str_and_init(url, &init)).await.map_err(thrown)?;
    let answer: Response = answer.unchecked_into();
    // A body that nobody reads would hold the connection.
    if let Some(body) = answer.body() {
        drop(body.cancel());
    }
    if answer.ok() {
        return Ok(());
    }
    let status = answer.status();
    let may_succeed_later = matches!(status, 429 | 502..=504);
    Err(NotTaken { why: format!("the collector answered {status}"), may_succeed_later })
}
