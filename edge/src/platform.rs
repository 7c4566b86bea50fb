//! The runtime: the only place that names `worker`, `js_sys` or `web_sys`.
//!
//! Bodies stay JavaScript values: the only one that is also copied into WebAssembly is the JSON that routing reads.

mod answer;
mod backend;
mod body;
pub(crate) mod console;
mod export;
mod incoming;
mod key_limit;
mod runtime;
mod surroundings;

use std::sync::LazyLock;

use goblin_shared::catalogue::{BUILT_IN, Catalogue};

pub(crate) use answer::{Answer, Answered};
pub(crate) use backend::BackendError;
pub(crate) use export::{count, export};
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
    let value = js_sys::Reflect::get(env.as_ref(), &name.into()).ok()?;
    let number = || value.as_f64().map(|number| number.to_string());
    value.as_string().or_else(number).or_else(|| value.as_bool().map(|truth| truth.to_string()))
}

/// Fresh random bytes.
pub(crate) fn entropy() -> Entropy {
    let mut bytes = [0; 42];
    getrandom::fill(&mut bytes).expect("the runtime has a source of randomness");
    bytes
}

/// The catalogue that is built in, parsed once per isolate.
pub(crate) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> =
        LazyLock::new(|| Catalogue::parse(BUILT_IN).expect("a test parses the built-in catalogue"));
    &CATALOGUE
}
