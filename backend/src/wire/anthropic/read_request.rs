//! Reads a client's request. What only Anthropic can do is refused, unless it is said to be as it is by default.

use super::{
    block::{Block, ImageSource},
    request::{MessagesRequest, OutputConfig, OutputFormat, Thinking, Tool, ToolChoice},
};
use crate::{
    ports::Inexpressible,
    wire::{
        neutral::{self, AssistantPart, Format, Image, Reasoning, Request, ToolCall, Turn, UserPart},
        places::{Member, Place, Places},
        strict::{Rest, TextOr, absent, foreign, needed, no_rest, parse, refuse},
    },
};

/// Reads a client's request.
///
/// `conversation_id` is this gateway's own. `cache_control` is dropped wherever it stands, and `service_tier: "auto"`: hints about price and speed that change
/// no answer.
pub(crate) fn read_request(body: &[u8]) -> Result<Request, Inexpressible> {
    let request: MessagesRequest = parse(body)?;
    no_rest(&request.rest, "")?;
    if request.service_tier.is_some_and(|tier| tier != "auto") {
        return Err(foreign("service_tier"));
    }
    let mut turns: Vec<Turn> = Vec::new();
    let mut places: Vec<Vec<Place>> = Vec::new();
    for (index, message) in request.messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        no_rest(&message.rest, &path)?;
        let content = format!("{path}.content");
        let empty = || refuse(&content, "The message says nothing; give it a text, or leave it out.");
        match message.role.as_str() {
            "user" => {
                let (parts, stood) = user_parts(message.content, index, &content)?;
                let first = parts.first().ok_or_else(empty)?;
                if let (Some(Turn::User(turn)), Some(before)) = (turns.last_mut(), places.last_mut()) {
                    results_first(turn.last(), first, &content)?;
                    turn.extend(parts);
                    before.extend(stood);
                } else {
                    turns.push(Turn::User(parts));
                    places.push(stood);
                }
            }
            "assistant" => {
                let (parts, stood) = assistant_parts(message.content, index, &content)?;
                parts.first().ok_or_else(empty)?;
                if let (Some(Turn::Assistant(turn)), Some(before)) = (turns.last_mut(), places.last_mut()) {
                    turn.extend(parts);
                    before.extend(stood);
                } else {
                    turns.push(Turn::Assistant(parts));
                    places.push(stood);
                }
            }
            _ => return Err(refuse(format!("{path}.role"), "The role must be `user` or `assistant`.")),
        }
    }
    let (tool_choice, parallel_tool_calls) = tool_choice(request.tool_choice)?;
    let OutputConfig { effort, format, rest } = request.output_config.unwrap_or_default();
    no_rest(&rest, "output_config")?;
    let format = match (format, request.output_format) {
        (Some(_), Some(_)) => {
            return Err(refuse("output_format", "`output_config.format` says the same; leave it out."));
        }
        (Some(format), None) => Some(self::format(format, "output_config.format")?),
        (None, format) => format.map(|format| self::format(format, "output_format")).transpose()?,
    };
    let metadata = request.metadata.unwrap_or_default();
    no_rest(&metadata.rest, "metadata")?;
    Ok(Request {
        system: request.system.map_or(Ok(Vec::new()), system)?,
        turns,
        tools: tools(request.tools.unwrap_or_default())?,
        tool_choice,
        parallel_tool_calls,
        max_tokens: Some(request.max_tokens),
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: request.top_k,
        stop: request.stop_sequences.unwrap_or_default(),
        format,
        reasoning: reasoning(request.thinking, effort)?,
        user: metadata.user_id,
        stream: request.stream.unwrap_or_default(),
        places: Places::of_anthropic(places),
        ..Request::default()
    })
}

fn blocks(content: TextOr<Vec<Block>>) -> Vec<Block> {
    match content {
        TextOr::Text(text) => vec![Block::Text { text, rest: Rest::new() }],
        TextOr::Other(blocks) => blocks,
    }
}

/// Refuses what a block has besides what its type names, but for the hint about caching and what is so by default.
fn plain(mut rest: Rest, path: &str) -> Result<(), Inexpressible> {
    rest.shift_remove("cache_control");
    // Clients send answers back as they came: called by the model itself, citing nothing.
    if rest.get("caller").is_some_and(|caller| caller["type"] == "direct") {
        rest.shift_remove("caller");
    }
    if rest.get("citations").and_then(|citations| citations.as_array()).is_some_and(Vec::is_empty) {
        rest.shift_remove("citations");
    }
    no_rest(&rest, path)
}

fn system(content: TextOr<Vec<Block>>) -> Result<Vec<String>, Inexpressible> {
    let mut texts = Vec::new();
    for (index, block) in blocks(content).into_iter().enumerate() {
        let path = format!("system[{index}]");
        let Block::Text { text, rest } = block else {
            return Err(refuse(path, "Instructions are texts; send other blocks in a message."));
        };
        plain(rest, &path)?;
        texts.extend(Some(text).filter(|text| !text.is_empty()));
    }
    Ok(texts)
}

fn results_first(before: Option<&UserPart>, part: &UserPart, path: &str) -> Result<(), Inexpressible> {
    let is_result = |part: &UserPart| matches!(part, UserPart::ToolResult { .. });
    if is_result(part) && before.is_some_and(|before| !is_result(before)) {
        return Err(refuse(path, "Results of tools must stand first in the user's message; move them there."));
    }
    Ok(())
}

/// Parts, each with its place.
type Placed<T> = (Vec<T>, Vec<Place>);

fn user_parts(content: TextOr<Vec<Block>>, message: usize, path: &str) -> Result<Placed<UserPart>, Inexpressible> {
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    for (index, block) in blocks(content).into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let mut place = Place::new(message, Member::Content(index));
        let part = match block {
            Block::ToolResult { tool_use_id, content, is_error, rest } => {
                plain(rest, &path)?;
                let content = content.map(|content| said(content, &format!("{path}.content"))).transpose()?;
                let (content, within) = content.unwrap_or_default();
                place = place.with_parts(within);
                let is_error = is_error.unwrap_or_default();
                UserPart::ToolResult { id: tool_use_id, content, is_error }
            }
            block => match said_part(block, &path)? {
                Some(part) => part,
                None => continue,
            },
        };
        results_first(parts.last(), &part, &path)?;
        parts.push(part);
        places.push(place);
    }
    Ok((parts, places))
}

/// Texts and images, and the number of each.
fn said(content: TextOr<Vec<Block>>, path: &str) -> Result<(Vec<UserPart>, Vec<usize>), Inexpressible> {
    let (mut parts, mut numbers) = (Vec::new(), Vec::new());
    for (index, block) in blocks(content).into_iter().enumerate() {
        if let Some(part) = said_part(block, &format!("{path}[{index}]"))? {
            parts.push(part);
            numbers.push(index);
        }
    }
    Ok((parts, numbers))
}

/// A text or an image; nothing for an empty text.
fn said_part(block: Block, path: &str) -> Result<Option<UserPart>, Inexpressible> {
    match block {
        Block::Text { text, rest } => {
            plain(rest, path)?;
            Ok(Some(text).filter(|text| !text.is_empty()).map(UserPart::Text))
        }
        Block::Image { source, rest } => {
            plain(rest, path)?;
            let path = format!("{path}.source");
            let image = match source {
                ImageSource::Base64 { media_type, data, rest } => {
                    no_rest(&rest, &path)?;
                    Image::Data { media_type, data, detail: None }
                }
                ImageSource::Url { url, rest } => {
                    no_rest(&rest, &path)?;
                    Image::Url { url, detail: None }
                }
                ImageSource::File { .. } => return Err(foreign(format!("{path}.file_id"))),
            };
            Ok(Some(UserPart::Image(image)))
        }
        _ => Err(foreign(format!("{path}.type"))),
    }
}

fn assistant_parts(
    content: TextOr<Vec<Block>>,
    message: usize,
    path: &str,
) -> Result<Placed<AssistantPart>, Inexpressible> {
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    for (index, block) in blocks(content).into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let part = match block {
            Block::Text { text, rest } => {
                plain(rest, &path)?;
                Some(text).filter(|text| !text.is_empty()).map(AssistantPart::Text)
            }
            Block::Thinking { thinking, signature, rest } => {
                no_rest(&rest, &path)?;
                let signature = Some(signature).filter(|signature| !signature.is_empty());
                Some(AssistantPart::Reasoning { text: thinking, signature })
            }
            Block::RedactedThinking { data, rest } => {
                no_rest(&rest, &path)?;
                Some(AssistantPart::RedactedReasoning(data))
            }
            Block::ToolUse { id, name, input, rest } => {
                plain(rest, &path)?;
                if !input.is_object() {
                    return Err(refuse(format!("{path}.input"), "The input must be a JSON object."));
                }
                Some(AssistantPart::ToolCall(ToolCall { id, name, arguments: input, signature: None }))
            }
            _ => return Err(foreign(format!("{path}.type"))),
        };
        if let Some(part) = part {
            parts.push(part);
            places.push(Place::new(message, Member::Content(index)));
        }
    }
    Ok((parts, places))
}

fn tools(tools: Vec<Tool>) -> Result<Vec<neutral::Tool>, Inexpressible> {
    let read = |(index, tool): (usize, Tool)| {
        let path = format!("tools[{index}]");
        if tool.kind.is_some_and(|kind| kind != "custom") {
            return Err(foreign(format!("{path}.type")));
        }
        no_rest(&tool.rest, &path)?;
        let schema = needed(tool.input_schema, &path, "input_schema")?;
        if !schema.is_object() {
            return Err(refuse(
                format!("{path}.input_schema"),
                "The schema must be a JSON schema, which is an object.",
            ));
        }
        let Tool { name, description, strict, .. } = tool;
        Ok(neutral::Tool { name, description, parameters: Some(schema), strict })
    };
    tools.into_iter().enumerate().map(read).collect()
}

fn tool_choice(choice: Option<ToolChoice>) -> Result<(Option<neutral::ToolChoice>, Option<bool>), Inexpressible> {
    let Some(ToolChoice { kind, name, disable_parallel_tool_use, rest }) = choice else { return Ok((None, None)) };
    no_rest(&rest, "tool_choice")?;
    if kind != "tool" {
        absent(name.as_ref(), "tool_choice", "name")?;
    }
    let choice = match kind.as_str() {
        "auto" => neutral::ToolChoice::Auto,
        "any" => neutral::ToolChoice::Required,
        "none" => neutral::ToolChoice::None,
        "tool" => neutral::ToolChoice::Named(needed(name, "tool_choice", "name")?),
        _ => return Err(refuse("tool_choice.type", "The choice must be `auto`, `any`, `tool` or `none`.")),
    };
    Ok((Some(choice), disable_parallel_tool_use.map(|disabled| !disabled)))
}

/// Anthropic keeps answers to the schema exactly, and gives it no name.
fn format(format: OutputFormat, path: &str) -> Result<Format, Inexpressible> {
    no_rest(&format.rest, path)?;
    if format.kind != "json_schema" {
        return Err(foreign(format!("{path}.type")));
    }
    if !format.schema.is_object() {
        return Err(refuse(format!("{path}.schema"), "The schema must be a JSON schema, which is an object."));
    }
    Ok(Format::Schema { name: None, description: None, schema: format.schema, strict: Some(true) })
}

/// Effort is how hard to think, with adaptive thinking or alone. Beside a budget, or no thinking, it is about the
/// answer's own length, for which the other formats have no words.
fn reasoning(thinking: Option<Thinking>, effort: Option<String>) -> Result<Option<Reasoning>, Inexpressible> {
    let Some(Thinking { kind, budget_tokens, display, rest }) = thinking else {
        return Ok(effort.map(Reasoning::Effort));
    };
    no_rest(&rest, "thinking")?;
    if display.is_some_and(|display| display != "summarized") {
        return Err(foreign("thinking.display"));
    }
    if kind != "enabled" {
        absent(budget_tokens.as_ref(), "thinking", "budget_tokens")?;
    }
    let reasoning = match kind.as_str() {
        "adaptive" => return Ok(Some(effort.map_or(Reasoning::Adaptive, Reasoning::Effort))),
        "disabled" => Reasoning::Off,
        "enabled" => Reasoning::Budget(needed(budget_tokens, "thinking", "budget_tokens")?),
        _ => return Err(refuse("thinking.type", "The type must be `enabled`, `disabled` or `adaptive`.")),
    };
    absent(effort.as_ref(), "output_config", "effort")?;
    Ok(Some(reasoning))
}
