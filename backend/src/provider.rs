//! Adapters to providers: one file per wire family, and the demo provider.

pub(crate) mod demo;
pub(crate) mod openai;
mod request_body;
#[cfg(test)]
pub(crate) mod scripted;
mod sse;
mod upstream_error;
