//! Writes a request for a server.

use super::{
    Target,
    message::{CalledFunction, ExtraContent, ImageUrl, Message, Part, ToolCall},
    reasoning_details::ReasoningDetail,
    request::{ChatRequest, Function, JsonSchema, NamedFunction, ResponseFormat, StreamOptions, Tool, ToolChoice},
};
use crate::{
    ports::Inexpressible,
    wire::{
        Model,
        data_url::DataUrl,
        neutral::{self, AssistantPart, Format, Image, Reasoning, Request, Turn, UserPart},
        places::{Fault, Spot},
        strict::{Rest, TextOr, foreign, refuse},
    },
};

/// The name of a schema where the client gives none, which must be there.
const SCHEMA_NAME: &str = "answer";

/// Writes a request for a server.
///
/// Instructions are `system` messages, which servers know that are older than `developer`. The client's user is `user`
/// for the same reason. An assistant's message has its reasoning first, then its texts, then its calls: this format
/// has no other order. The reasoning is left out for servers that do not take it, which are all but OpenRouter: it proves
/// itself to the provider that made it, and no other's answer depends on it. Parameters are named in errors as Anthropic's clients name them, for no others are translated
/// to here.
pub(crate) fn write_request(request: &Request, target: Target<'_>) -> Result<Vec<u8>, Inexpressible> {
    if request.top_k.is_some() {
        return Err(foreign("top_k"));
    }
    let mut written = ChatRequest {
        model: target.model.name.clone(),
        messages: messages(request, target.reasoning_details)?,
        temperature: request.temperature.clone(),
        top_p: request.top_p.clone(),
        stop: (!request.stop.is_empty()).then(|| TextOr::Other(request.stop.clone())),
        seed: request.seed,
        presence_penalty: request.presence_penalty.clone(),
        frequency_penalty: request.frequency_penalty.clone(),
        n: request.choices,
        logprobs: request.logprobs,
        top_logprobs: request.top_logprobs,
        tools: (!request.tools.is_empty()).then(|| request.tools.iter().map(tool).collect()),
        tool_choice: request.tool_choice.as_ref().map(tool_choice),
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: request.format.as_ref().map(format),
        reasoning_effort: request.reasoning.as_ref().and_then(|reasoning| effort(reasoning, target.model)),
        user: request.user.clone(),
        stream: request.stream.then_some(true),
        ..ChatRequest::default()
    };
    if target.max_tokens_field == "max_tokens" {
        written.max_tokens = request.max_tokens;
    } else {
        written.max_completion_tokens = request.max_tokens;
    }
    if request.stream && target.stream_usage {
        written.stream_options = Some(StreamOptions { include_usage: Some(true), ..StreamOptions::default() });
    }
    serde_json::to_vec(&written)
        .map_err(|_| refuse("", "The request cannot be written as JSON; check it for odd numbers."))
}

/// How hard to think.
///
/// `None` where the model decides, which is what these models do unasked, and for models that cannot reason and are not
/// to: they refuse the member. Budgets become the effort that they roughly
/// buy: below 4,096 tokens `low`, below 16,384 `medium`, from there on `high`. The bounds are this gateway's own; no
/// provider documents any.
fn effort(reasoning: &Reasoning, model: &Model) -> Option<String> {
    match reasoning {
        Reasoning::Off => model.reasons.then(|| "none".to_owned()),
        Reasoning::Adaptive => None,
        // Anthropic's highest, for which this format has no word of its own.
        Reasoning::Effort(effort) if effort == "max" => Some("xhigh".to_owned()),
        Reasoning::Effort(effort) => Some(effort.clone()),
        Reasoning::Budget(..4_096) => Some("low".to_owned()),
        Reasoning::Budget(..16_384) => Some("medium".to_owned()),
        Reasoning::Budget(_) => Some("high".to_owned()),
    }
}

fn tool(tool: &neutral::Tool) -> Tool {
    let neutral::Tool { name, description, parameters, strict } = tool.clone();
    Tool::Function {
        function: Function { name, description, parameters, strict, rest: Rest::new() },
        rest: Rest::new(),
    }
}

fn tool_choice(choice: &neutral::ToolChoice) -> TextOr<ToolChoice> {
    match choice {
        neutral::ToolChoice::Auto => TextOr::Text("auto".to_owned()),
        neutral::ToolChoice::None => TextOr::Text("none".to_owned()),
        neutral::ToolChoice::Required => TextOr::Text("required".to_owned()),
        neutral::ToolChoice::Named(name) => TextOr::Other(ToolChoice::Function {
            function: NamedFunction { name: name.clone(), rest: Rest::new() },
            rest: Rest::new(),
        }),
    }
}

fn format(format: &Format) -> ResponseFormat {
    match format.clone() {
        Format::Json => ResponseFormat::JsonObject { rest: Rest::new() },
        Format::Schema { name, description, schema, strict } => ResponseFormat::JsonSchema {
            json_schema: JsonSchema {
                name: name.unwrap_or_else(|| SCHEMA_NAME.to_owned()),
                description,
                schema: Some(schema),
                strict,
                rest: Rest::new(),
            },
            rest: Rest::new(),
        },
    }
}

fn messages(request: &Request, reasoning_details: bool) -> Result<Vec<Message>, Inexpressible> {
    if let Some(Turn::Assistant(_)) = request.turns.last() {
        let message = "The last message must be the user's, as this provider continues no assistant's; add one.";
        return Err(refuse(request.places.last_message(), message));
    }
    let system = request.system.iter().map(|text| Message {
        role: "system".to_owned(),
        content: Some(TextOr::Text(text.clone())),
        ..Message::default()
    });
    let mut messages: Vec<_> = system.collect();
    for (number, turn) in request.turns.iter().enumerate() {
        match turn {
            Turn::User(parts) => user_messages(parts, &mut messages, |part, within| {
                request.places.path(Spot { turn: number, part, within: Some(within) }, Fault::Part)
            })?,
            Turn::Assistant(parts) => messages.extend(assistant_message(parts, reasoning_details)),
        }
    }
    Ok(messages)
}

/// `path` is that of a part in a tool's result.
fn user_messages(
    parts: &[UserPart],
    messages: &mut Vec<Message>,
    path: impl Fn(usize, usize) -> String,
) -> Result<(), Inexpressible> {
    let mut said = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        match part {
            UserPart::Text(text) => said.push(text_part(text.clone())),
            UserPart::Image(image) => {
                let image_url = image_url(image);
                said.push(Part::ImageUrl { image_url, rest: Rest::new() });
            }
            UserPart::ToolResult { id, content, is_error } => messages.push(Message {
                role: "tool".to_owned(),
                content: Some(tool_result(content, *is_error, |within| path(number, within))?),
                tool_call_id: Some(id.clone()),
                ..Message::default()
            }),
        }
    }
    if !said.is_empty() {
        messages.push(Message { role: "user".to_owned(), content: Some(content(said)), ..Message::default() });
    }
    Ok(())
}

/// What a tool gave back. This format has no member that says it failed, so the text says it: `Error: …`.
fn tool_result(
    parts: &[UserPart],
    is_error: bool,
    path: impl Fn(usize) -> String,
) -> Result<TextOr<Vec<Part>>, Inexpressible> {
    let mut texts = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let UserPart::Text(text) = part else {
            let message = "Results of tools must be texts for this provider; send images in the user's message.";
            return Err(refuse(path(number), message));
        };
        texts.push(text.clone());
    }
    if is_error {
        match texts.first_mut() {
            Some(text) => text.insert_str(0, "Error: "),
            None => texts.push("Error".to_owned()),
        }
    }
    Ok(content(texts.into_iter().map(text_part).collect()))
}

fn text_part(text: String) -> Part {
    Part::Text { text, rest: Rest::new() }
}

/// The short way where there is one text, or none.
fn content(mut parts: Vec<Part>) -> TextOr<Vec<Part>> {
    match parts.as_mut_slice() {
        [] => TextOr::Text(String::new()),
        [Part::Text { text, .. }] => TextOr::Text(std::mem::take(text)),
        _ => TextOr::Other(parts),
    }
}

fn image_url(image: &Image) -> ImageUrl {
    let (url, detail) = match image {
        Image::Url { url, detail } => (url.clone(), detail),
        Image::Data { media_type, data, detail } => (DataUrl { media_type, data }.write(), detail),
    };
    ImageUrl { url, detail: detail.clone(), rest: Rest::new() }
}

/// `None` where nothing is left to say but reasoning that the server does not take.
fn assistant_message(parts: &[AssistantPart], reasoning_details: bool) -> Option<Message> {
    let mut said = Vec::new();
    let mut tool_calls = Vec::new();
    for part in parts {
        match part {
            AssistantPart::Text(text) => said.push(text_part(text.clone())),
            AssistantPart::Refusal(refusal) => {
                said.push(Part::Refusal { refusal: refusal.clone(), rest: Rest::new() });
            }
            AssistantPart::ToolCall(call) => tool_calls.push(tool_call(call)),
            AssistantPart::Reasoning { .. } | AssistantPart::RedactedReasoning(_) => {}
        }
    }
    let details: Vec<_> = parts.iter().filter(|_| reasoning_details).filter_map(ReasoningDetail::of).collect();
    let is_empty = said.is_empty() && tool_calls.is_empty() && details.is_empty();
    (!is_empty).then(|| Message {
        role: "assistant".to_owned(),
        content: (!said.is_empty()).then(|| content(said)),
        reasoning_details: Some(details).filter(|details| !details.is_empty()),
        tool_calls: Some(tool_calls).filter(|calls| !calls.is_empty()),
        ..Message::default()
    })
}

/// Writes a call, in requests and answers alike.
pub(super) fn tool_call(call: &neutral::ToolCall) -> ToolCall {
    ToolCall {
        index: None,
        id: call.id.clone(),
        kind: Some("function".to_owned()),
        function: CalledFunction { name: call.name.clone(), arguments: call.arguments.to_string(), rest: Rest::new() },
        extra_content: call.signature.clone().map(ExtraContent::signed),
        rest: Rest::new(),
    }
}
