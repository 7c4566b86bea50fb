//! The domain: a plan is carried out, whatever its providers do.
//!
//! Read `run.rs` first: which entry of the plan is called next. Whether it may be is said by `provider_state.rs` (two
//! breakers, see `breaker.rs`) and `lane.rs`; what an error means by `error_class.rs`. `attempt.rs` is one call,
//! `streaming.rs` the way of a streamed answer.

mod attempt;
mod breaker;
mod call_span;
mod call_watch;
mod error_class;
mod lane;
mod outcome;
mod provider_state;
mod run;
mod service;
mod streaming;
#[cfg(test)]
mod tests;
mod timeouts;

pub(crate) use self::{
    breaker::BreakerSettings,
    lane::LaneSettings,
    outcome::Outcome,
    run::PlanFailure,
    service::{ChatRequest, ChatService, ChatSettings, Upstream, Usable},
    streaming::{Step, Streaming},
    timeouts::{Retries, Timeouts},
};
