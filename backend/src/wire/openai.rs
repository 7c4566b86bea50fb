//! OpenAI's chat completions.

mod answer;
mod content;
mod message;
mod passing;
mod read_message;
mod read_request;
mod reasoning_details;
mod request;
mod stop;
mod stream_reader;
mod stream_writer;
mod usage;
mod write_request;

pub(crate) use answer::{ChatCompletion, read_answer, write_answer};
pub(crate) use passing::{Passing, read_facts};
pub(crate) use read_request::read_request;
pub(crate) use request::ChatRequest;
pub(crate) use stream_reader::StreamReader;
pub(crate) use stream_writer::{Chunk, StreamWriter};
pub(crate) use write_request::write_request;

use super::{Model, Origin};

/// What ends a stream.
const DONE: &str = "[DONE]";

/// How a request is written for one server of this family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The model.
    pub(crate) model: &'a Model,
    /// The member that says how long the answer may be: `max_completion_tokens`, or `max_tokens` for older servers.
    pub(crate) max_tokens_field: &'a str,
    /// The server takes `stream_options`.
    pub(crate) stream_usage: bool,
    /// The server takes OpenRouter's `reasoning_details`.
    pub(crate) reasoning_details: bool,
}

/// The id of an answer whose provider gave it none.
fn own_id(origin: &Origin) -> String {
    format!("chatcmpl-{}", origin.request_id)
}
