//! Takes down what requests leave to tell, and sends it to the collector after answers.

use std::cell::RefCell;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{backend::text, console, incoming::Later, now, runtime};
use crate::{
    config::{EdgeConfig, OtlpConfig},
    identify::Identity,
    telemetry::{Batch, LogLine, Outcome, PartialSuccess, RequestRecord, Signal, Telemetry, Turn},
};

thread_local! {
    static TELEMETRY: RefCell<Option<Telemetry>> = const { RefCell::new(None) };
}

/// Far more than a collector says of what it took.
const ANSWER_BYTES: u32 = 65_536;

impl Later {
    /// Tells of a request that is over.
    pub(crate) fn tell(&self, config: &EdgeConfig, identity: &Identity, record: &RequestRecord<'_>) {
        let Some(otlp) = &config.otlp else {
            if let Some(line) = LogLine::of_request(record) {
                console::line(&line.to_json());
            }
            return;
        };
        let now = now();
        let turns = with(otlp, |telemetry| {
            telemetry.record(record);
            Signal::ALL.map(|signal| telemetry.claim(signal, now))
        });
        for turn in turns.into_iter().flatten() {
            self.afterwards(send_all(otlp.clone(), identity.clone(), turn));
        }
    }
}

fn with<T>(otlp: &OtlpConfig, work: impl FnOnce(&mut Telemetry) -> T) -> T {
    TELEMETRY.with_borrow_mut(|telemetry| work(telemetry.get_or_insert_with(|| Telemetry::new(otlp, &instance()))))
}

/// Which of the service's many isolates this is.
fn instance() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the runtime has a source of randomness");
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// Waits for more to come, then sends what there is. What goes wrong is told with the ids of the request whose turn it is.
async fn send_all(otlp: OtlpConfig, identity: Identity, turn: Turn) {
    if turn.wait_ms > 0 {
        // A timer does not fail.
        let _ = JsFuture::from(runtime::sleep(turn.wait_ms)).await;
    }
    while let Some(batch) = with(&otlp, |telemetry| telemetry.take(&turn, now())) {
        let (outcome, why) = send(&otlp, &batch).await;
        if let Some(why) = why {
            console::error(&identity, &format!("{} were not exported: {why}", batch.signal.as_str()));
        }
        with(&otlp, |telemetry| telemetry.settle(&batch, outcome, now()));
    }
}

/// What became of a batch, and why, where that is worth a line.
async fn send(otlp: &OtlpConfig, batch: &Batch) -> (Outcome, Option<String>) {
    let Some(config) = otlp.signal(batch.signal) else { return (Outcome::Refused, None) };
    let mut fields = format!("content-type,{}", otlp.protocol.content_type());
    for (name, value) in &otlp.headers {
        fields.extend(["\n", name, ",", value]);
    }
    let posted = runtime::post(&config.url, &fields, &batch.body, otlp.gzip, batch.timeout_ms, ANSWER_BYTES);
    let parts: Array = match JsFuture::from(posted).await {
        Ok(parts) => parts.unchecked_into(),
        Err(error) => return (Outcome::Failed { retry_after_ms: None }, Some(text(&error))),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "statuses are three digits")]
    let status = parts.get(0).as_f64().unwrap_or_default() as u16;
    let retry_after_ms = parts.get(1).as_string().and_then(|seconds| seconds.parse::<u32>().ok());
    let outcome = Outcome::of_status(status, retry_after_ms.map(|seconds| f64::from(seconds) * 1_000.0));
    if outcome != (Outcome::Accepted { rejected: 0 }) {
        return (outcome, Some(format!("the collector answered {status}")));
    }
    let partial = PartialSuccess::read(otlp.protocol, &parts.get(2).unchecked_into::<Uint8Array>().to_vec());
    let why = (!partial.message.is_empty() || partial.rejected > 0)
        .then(|| format!("the collector rejected {} of {}: {}", partial.rejected, batch.items, partial.message));
    (Outcome::Accepted { rejected: partial.rejected }, why)
}
