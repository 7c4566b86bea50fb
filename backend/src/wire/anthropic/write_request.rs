//! Writes a request for a server.

use serde_json::{Value, json};

use super::{
    block::{Block, ImageSource},
    request::{Message, MessagesRequest, Metadata, OutputConfig, OutputFormat, Tool, ToolChoice},
    thinking::{self, Wish},
};
use crate::{
    ports::Inexpressible,
    wire::{
        Model,
        neutral::{self, AssistantPart, Format, Image, Request, Turn, UserPart},
        places::{Fault, Spot},
        strict::{Rest, TextOr, foreign, refuse},
    },
};

/// Writes a request for a server.
///
/// Parameters are named in errors as OpenAI's clients name them, for no others are translated to here. A tool call's
/// signature is another provider's proof, and means nothing here: it is left out.
pub(crate) fn write_request(request: &Request, model: &Model) -> Result<Vec<u8>, Inexpressible> {
    refuse_foreign(request)?;
    let Wish { thinking, effort, max_tokens } = thinking::wish(request, model)?;
    let format = request.format.as_ref().map(format).transpose()?;
    let output_config =
        (effort.is_some() || format.is_some()).then(|| OutputConfig { effort, format, rest: Rest::new() });
    let system = match request.system.as_slice() {
        [] => None,
        [text] => Some(TextOr::Text(text.clone())),
        texts => Some(TextOr::Other(texts.iter().cloned().map(text_block).collect())),
    };
    let written = MessagesRequest {
        model: model.name.clone(),
        max_tokens,
        system,
        messages: messages(request)?,
        tools: (!request.tools.is_empty()).then(|| request.tools.iter().map(tool).collect()),
        tool_choice: tool_choice(request),
        stop_sequences: (!request.stop.is_empty()).then(|| request.stop.clone()),
        temperature: request.temperature.clone(),
        top_p: request.top_p.clone(),
        top_k: request.top_k,
        thinking,
        output_config,
        metadata: request.user.clone().map(|user| Metadata { user_id: Some(user), rest: Rest::new() }),
        stream: request.stream.then_some(true),
        ..MessagesRequest::default()
    };
    serde_json::to_vec(&written)
        .map_err(|_| refuse("", "The request cannot be written as JSON; check it for odd numbers."))
}

fn refuse_foreign(request: &Request) -> Result<(), Inexpressible> {
    let is_zero =
        |penalty: &Option<serde_json::Number>| penalty.as_ref().is_none_or(|penalty| penalty.as_f64() == Some(0.0));
    for (member, expressible) in [
        ("n", request.choices.is_none_or(|choices| choices == 1)),
        ("seed", request.seed.is_none()),
        ("logprobs", request.logprobs != Some(true)),
        ("top_logprobs", request.top_logprobs.is_none_or(|top| top == 0)),
        ("presence_penalty", is_zero(&request.presence_penalty)),
        ("frequency_penalty", is_zero(&request.frequency_penalty)),
    ] {
        if !expressible {
            return Err(foreign(member));
        }
    }
    if request.temperature.as_ref().and_then(serde_json::Number::as_f64).is_some_and(|temperature| temperature > 1.0) {
        return Err(refuse("temperature", "The temperature must be at most 1 for this provider."));
    }
    Ok(())
}

/// Answers always keep to the schema exactly, and it has no name here; a description becomes its own.
fn format(format: &Format) -> Result<OutputFormat, Inexpressible> {
    let Format::Schema { description, schema, .. } = format else {
        let message = "This provider needs a schema; use `json_schema`, or ask for JSON in a message.";
        return Err(refuse("response_format.type", message));
    };
    let mut schema = schema.clone();
    if let (Some(description), Value::Object(members)) = (description, &mut schema) {
        if members.get("description").is_some_and(|own| own != description) {
            return Err(refuse(
                "response_format.json_schema.description",
                "The schema has a description of its own, and this provider takes one; leave one out.",
            ));
        }
        members.insert("description".to_owned(), description.clone().into());
    }
    Ok(OutputFormat { kind: "json_schema".to_owned(), schema, rest: Rest::new() })
}

fn tool(tool: &neutral::Tool) -> Tool {
    let neutral::Tool { name, description, parameters, strict } = tool.clone();
    let schema = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    Tool { kind: None, name, description, input_schema: Some(schema), strict, cache_control: None, rest: Rest::new() }
}

fn tool_choice(request: &Request) -> Option<ToolChoice> {
    let (kind, name) = match &request.tool_choice {
        // Whether calls may be parallel is said nowhere else.
        None if request.parallel_tool_calls.is_none() || request.tools.is_empty() => return None,
        None | Some(neutral::ToolChoice::Auto) => ("auto", None),
        Some(neutral::ToolChoice::Required) => ("any", None),
        Some(neutral::ToolChoice::Named(name)) => ("tool", Some(name.clone())),
        Some(neutral::ToolChoice::None) => ("none", None),
    };
    // Where nothing is called, nothing is called at once: the member is not allowed there.
    let parallel = request.parallel_tool_calls.filter(|_| kind != "none");
    let disable_parallel_tool_use = parallel.map(|parallel| !parallel);
    Some(ToolChoice { kind: kind.to_owned(), name, disable_parallel_tool_use, rest: Rest::new() })
}

fn messages(request: &Request) -> Result<Vec<Message>, Inexpressible> {
    let places = &request.places;
    match request.turns.last() {
        Some(Turn::User(_)) => {}
        Some(Turn::Assistant(_)) => {
            let message =
                "The last message must be the user's, as this provider would go on with an assistant's; add one.";
            return Err(refuse(places.last_message(), message));
        }
        None => return Err(refuse("messages", "This provider needs a message of the user; add one.")),
    }
    let write = |(turn, said): (usize, &Turn)| {
        let path = |part| move |fault| places.path(Spot { turn, part, within: None }, fault);
        let (role, blocks) = match said {
            Turn::User(parts) => {
                let blocks = parts.iter().enumerate().map(|(part, said)| user_block(said, path(part)));
                ("user", blocks.collect::<Result<Vec<_>, _>>()?)
            }
            Turn::Assistant(parts) => {
                let blocks = parts.iter().enumerate().map(|(part, said)| assistant_block(said, path(part)));
                ("assistant", blocks.collect::<Result<Vec<_>, _>>()?)
            }
        };
        Ok(Message { role: role.to_owned(), content: content(blocks), rest: Rest::new() })
    };
    request.turns.iter().enumerate().map(write).collect()
}

fn text_block(text: String) -> Block {
    Block::Text { text, rest: Rest::new() }
}

/// The short way where there is one text.
fn content(mut blocks: Vec<Block>) -> TextOr<Vec<Block>> {
    match blocks.as_mut_slice() {
        [Block::Text { text, .. }] => TextOr::Text(std::mem::take(text)),
        _ => TextOr::Other(blocks),
    }
}

fn user_block(part: &UserPart, path: impl Fn(Fault) -> String + Copy) -> Result<Block, Inexpressible> {
    Ok(match part {
        UserPart::Text(text) => text_block(text.clone()),
        UserPart::Image(image) => Block::Image { source: image_source(image, path)?, rest: Rest::new() },
        UserPart::ToolResult { id, content: parts, is_error } => {
            // Those of clients that are translated to here are texts, which are never refused.
            let blocks = parts.iter().map(|part| user_block(part, path)).collect::<Result<Vec<_>, _>>()?;
            Block::ToolResult {
                tool_use_id: id.clone(),
                content: (!blocks.is_empty()).then(|| content(blocks)),
                is_error: is_error.then_some(true),
                rest: Rest::new(),
            }
        }
    })
}

/// Images are always looked at as closely as possible: to ask for that is to ask for nothing.
fn image_source(image: &Image, path: impl Fn(Fault) -> String) -> Result<ImageSource, Inexpressible> {
    let (Image::Url { detail, .. } | Image::Data { detail, .. }) = image;
    if !matches!(detail.as_deref(), None | Some("auto" | "high")) {
        let message = "This provider looks at images in full detail; leave `detail` out, or say `auto`.";
        return Err(refuse(path(Fault::ImageDetail), message));
    }
    Ok(match image.clone() {
        Image::Url { url, .. } => ImageSource::Url { url, rest: Rest::new() },
        Image::Data { media_type, data, .. } => ImageSource::Base64 { media_type, data, rest: Rest::new() },
    })
}

fn assistant_block(part: &AssistantPart, path: impl Fn(Fault) -> String) -> Result<Block, Inexpressible> {
    Ok(match part.clone() {
        // Anthropic's own refusals are texts, too.
        AssistantPart::Text(text) | AssistantPart::Refusal(text) => text_block(text),
        AssistantPart::Reasoning { text, signature: Some(signature) } => {
            Block::Thinking { thinking: text, signature, rest: Rest::new() }
        }
        AssistantPart::Reasoning { signature: None, .. } => {
            let message =
                "This provider takes reasoning with its signature alone; leave `reasoning_details` without one out.";
            return Err(refuse(path(Fault::Signature), message));
        }
        AssistantPart::RedactedReasoning(data) => Block::RedactedThinking { data, rest: Rest::new() },
        AssistantPart::ToolCall(call) => {
            Block::ToolUse { id: call.id, name: call.name, input: call.arguments, rest: Rest::new() }
        }
    })
}
