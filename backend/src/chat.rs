//! The domain: a plan is carried out, whatever its providers do.
//!
//! Read `run.rs` first: which entry of the plan is called next. Whether it may be is said by `provider_state.rs` (two
//! breakers, see `breaker.rs`) and `lane.rs`; what an error means by `error_class.rs`. `attempt.rs` is one call,
//! `streaming.rs` the way of a streamed answer. What a request may use and what it used is `accounts.rs` and
//! `account.rs`: nothing is called before it is written down, and it is settled exactly once.

mod account;
mod accounts;
mod attempt;
mod breaker;
mod call_span;
mod call_watch;
pub(crate) mod conversation;
mod cost;
mod error_class;
mod lane;
mod limit_policy;
mod outcome;
mod provider_state;
#[cfg(test)]
pub(crate) mod recording;
mod run;
mod service;
mod streaming;
mod tally;
#[cfg(test)]
mod tests;
mod timeouts;
mod told;

pub(crate) use self::{
    account::{Account, LastWord},
    accounts::{Accounted, Accounts, Bill, Books, NotAccounted},
    breaker::BreakerSettings,
    lane::LaneSettings,
    limit_policy::LimitPolicy,
    outcome::Outcome,
    run::PlanFailure,
    service::{ChatRequest, ChatService, ChatSettings, Upstream, Usable},
    streaming::{Step, Streaming},
    timeouts::{Retries, Timeouts},
};
