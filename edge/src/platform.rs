//! The runtime: the only place that names `worker`, `js_sys` or `web_sys`.
//!
//! Bodies stay JavaScript values: the only one that is also copied into WebAssembly is the JSON that routing reads.

mod answer;
mod backend;
mod body;
mod catalogue;
pub(crate) mod console;
mod health;
mod incoming;
mod key_limit;
mod runtime;
mod surroundings;
mod tell;

pub(crate) use answer::{Answer, Answered, Fetched};
pub(crate) use backend::BackendError;
pub(crate) use body::Body;
pub(crate) use health::{note_health, with_health};
pub(crate) use incoming::Incoming;
pub(crate) use surroundings::Surroundings;

use crate::identify::Entropy;

/// Milliseconds since 1970. On Cloudflare this clock stands still between I/O.
pub(crate) fn now() -> f64 {
    js_sys::Date::now()
}

/// The same as a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the clock gives whole milliseconds")]
pub(crate) fn unix_millis(now: f64) -> u64 {
    now as u64
}

/// A variable or secret. `wrangler.toml` makes numbers and truth values of what is written without quotation marks: they
/// count as their text.
pub(crate) fn variable(env: &worker::Env, name: &str) -> Option<String> {
    runtime::variable(env.as_ref(), name)
}

/// Fresh random bytes.
pub(crate) fn entropy() -> Entropy {
    let mut bytes = [0; 42];
    getrandom::fill(&mut bytes).expect("the runtime has a source of randomness");
    bytes
}
