//! The Worker's events, nothing else. What happens to a request is told in `pipeline`.
//!
//! Everything but `pipeline` and `platform` is plain Rust on plain facts, and is tested natively.

pub mod admit;
pub mod catalogue_source;
pub mod config;
pub mod cors;
pub mod facts;
pub mod forward;
pub mod freshness;
pub mod health;
pub mod identify;
pub mod origins;
pub mod preflight;
pub mod refusal;
pub mod route;
pub mod sampling;
pub mod telemetry;

#[cfg(target_arch = "wasm32")]
mod pipeline;
#[cfg(target_arch = "wasm32")]
mod platform;

#[cfg(target_arch = "wasm32")]
#[expect(unreachable_pub, reason = "the runtime's macro wants public functions")]
mod events {
    use worker::{Context, Env, event};

    use crate::{pipeline, platform};

    #[event(start)]
    pub fn start() {
        console_error_panic_hook::set_once();
    }

    #[event(fetch)]
    pub async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
        pipeline::answer(platform::Incoming::new(request, env, context)).await
    }
}
