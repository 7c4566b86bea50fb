//! The other side of the format, for tests alone: what a server does, reading requests and writing answers.
//!
//! Written against JSON values and not the types of the code under test, so that a wrong name does not cancel itself out.

mod server_answer;
mod server_request;

pub(crate) use self::{
    server_answer::{write_answer, write_stream},
    server_request::read_request,
};
