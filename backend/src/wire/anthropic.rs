//! Anthropic's messages.

mod answer;
mod block;
mod object_progress;
mod passing;
mod read_request;
mod request;
mod stop;
mod stream_reader;
mod stream_writer;
mod thinking;
mod usage;
mod write_request;

pub(crate) use answer::{AnswerMessage, read_answer, write_answer};
pub(crate) use passing::{Passing, read_facts};
pub(crate) use read_request::read_request;
pub(crate) use request::MessagesRequest;
pub(crate) use stream_reader::{Event, StreamReader};
pub(crate) use stream_writer::StreamWriter;
pub(crate) use write_request::write_request;

use super::Origin;

/// The id of an answer whose provider gave it none.
fn own_id(origin: &Origin) -> String {
    format!("msg_{}", origin.request_id)
}
