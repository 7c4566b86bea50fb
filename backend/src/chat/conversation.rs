//! Conversations: what was said before goes along with a request, and what it adds is kept.
//!
//! `service.rs` is what handlers ask; of a chat it makes a [`Continued`] by `history.rs`, which reads as many turns as
//! can fit, and `assemble.rs`, which decides what goes along. While the answer goes by, `recorder.rs` collects it, and
//! `draft.rs` makes the turn of both. `retention.rs` deletes what is too old.

mod assemble;
mod draft;
mod failure;
mod history;
mod members;
#[cfg(test)]
pub(crate) mod memory;
mod recorder;
mod retention;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    draft::{Completed, TurnDraft},
    failure::ConversationFailure,
    recorder::{NotRecorded, Recorder},
    retention::expire_old,
    service::{Asked, Continued, ConversationService},
};
