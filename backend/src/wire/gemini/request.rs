//! A request, as it is written for a server.

use serde::Serialize;

use super::{
    contents::{Content, Contents},
    generation::{self, GenerationConfig},
    tools::{self, ToolConfig, Tools},
};
use crate::{
    ports::Inexpressible,
    wire::{Model, neutral::Request, strict::refuse},
};

/// The body of generateContent and streamGenerateContent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "GenerationConfig::is_empty")]
    generation_config: GenerationConfig<'a>,
}

/// Writes a request for a server; the model stands in its URL, and so does the wish for a stream.
///
/// Three things have no words here and are left out, as the answer does not depend on them: `user`, which identifies
/// the client's own user and is what this gateway routes by; the name of a response format, a label; and
/// `strict: false`, as this API keeps to schemas anyway. Safety settings are left to the API's defaults.
pub(crate) fn write_request(request: &Request, model: &Model) -> Result<Vec<u8>, Inexpressible> {
    if request.parallel_tool_calls == Some(false) {
        return Err(refuse(
            request.places.parallel_tool_calls(),
            "This provider cannot be kept from calling several tools at once; leave the field out, or ask for another \
             model.",
        ));
    }
    let mut contents = Contents::default();
    let turns = contents.write(request)?;
    let body = Body {
        system_instruction: Contents::system(&request.system),
        contents: turns,
        tools: tools::declare(&request.tools),
        tool_config: tools::choose(request),
        generation_config: generation::configure(request, model, contents.media_resolution())?,
    };
    serde_json::to_vec(&body)
        .map_err(|_| refuse("messages", "The request cannot be written as JSON; check it for odd numbers."))
}
