//! Adapters to providers.
//!
//! [`Adapter`](adapter::Adapter) is the one implementation of the port: it makes of a client's request what the
//! provider's wire family takes, and of its answer what the client's API says. How the bytes get there and back is
//! [`http`]'s matter, or [`demo`]'s, which needs no network.

pub(crate) mod adapter;
mod answer_pipe;
mod demo;
mod endpoint;
pub(crate) mod http;
pub(crate) mod keys;
mod obstacle;
mod prepare;
mod request_body;
mod retry_after;
#[cfg(test)]
pub(crate) mod scripted;
mod upstream_error;
