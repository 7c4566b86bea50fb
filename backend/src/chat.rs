//! The domain: a plan is carried out, an answer is watched on its way.

mod answer_facts;
mod attempt;
mod call_span;
mod call_watch;
mod opening;
mod outcome;
mod provider_state;
mod service;
mod timeouts;

pub(crate) use self::{
    attempt::{Attempt, Piece},
    opening::open,
    outcome::Outcome,
    service::{ChatRequest, ChatService},
    timeouts::Timeouts,
};
