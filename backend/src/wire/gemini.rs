//! Google's Gemini API: generateContent and streamGenerateContent, version v1beta.
//!
//! Sources: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/function-calling>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>, and the API's protocol buffers in
//! <https://github.com/googleapis/googleapis/tree/master/google/ai/generativelanguage/v1beta>.

mod answer;
mod contents;
mod generation;
mod logprobs;
#[cfg(test)]
pub(crate) mod mirror;
mod request;
mod response;
mod stop;
mod stream;
#[cfg(test)]
pub(in crate::wire) mod tests;
mod tools;
mod usage;

pub(crate) use self::{answer::read_answer, request::write_request, stream::StreamReader};
