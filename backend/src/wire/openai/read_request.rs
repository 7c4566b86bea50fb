//! Reads a client's request. What only OpenAI can do is refused, unless it is said to be as it is by default.

use super::{
    read_message::Conversation,
    request::{ChatRequest, Function, ResponseFormat, StreamOptions, Tool, ToolChoice},
};
use crate::{
    ports::Inexpressible,
    wire::{
        neutral::{self, Format, Reasoning, Request},
        places::Places,
        strict::{TextOr, foreign, no_rest, parse, refuse},
    },
};

/// Reads a client's request.
///
/// `conversation_id` is this gateway's own. `prompt_cache_key` and `service_tier: "auto"` are dropped: they are hints about price and speed that change no
/// answer. `include_usage` is not kept here: it is a matter between the client and who writes its stream.
pub(crate) fn read_request(body: &[u8]) -> Result<Request, Inexpressible> {
    let request: ChatRequest = parse(body)?;
    no_rest(&request.rest, "")?;
    only_defaults(&request)?;
    let mut conversation = Conversation::default();
    for (index, message) in request.messages.into_iter().enumerate() {
        conversation.add(message, index)?;
    }
    let (system, turns, places) = conversation.into_parts();
    let max_tokens = request.max_completion_tokens.map(|_| "max_completion_tokens");
    Ok(Request {
        system,
        turns,
        tools: tools(request.tools.unwrap_or_default())?,
        tool_choice: request.tool_choice.map(tool_choice).transpose()?,
        parallel_tool_calls: request.parallel_tool_calls,
        max_tokens: one_of(request.max_completion_tokens, request.max_tokens, "max_tokens", "max_completion_tokens")?,
        temperature: request.temperature,
        top_p: request.top_p,
        top_k: None,
        stop: match request.stop {
            None => Vec::new(),
            Some(TextOr::Text(text)) => vec![text],
            Some(TextOr::Other(texts)) => texts,
        },
        seed: request.seed,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        choices: request.n,
        logprobs: request.logprobs,
        top_logprobs: request.top_logprobs,
        format: request.response_format.map(format).transpose()?.flatten(),
        reasoning: request.reasoning_effort.map(|effort| match effort.as_str() {
            "none" => Reasoning::Off,
            _ => Reasoning::Effort(effort),
        }),
        user: one_of(request.safety_identifier, request.user, "user", "safety_identifier")?,
        stream: request.stream.unwrap_or_default(),
        places: Places::of_openai(max_tokens, places),
    })
}

/// Refuses what only OpenAI can do, unless it is as it is by default.
fn only_defaults(request: &ChatRequest) -> Result<(), Inexpressible> {
    let is = |value: &Option<String>, default: &str| value.as_deref().is_none_or(|value| value == default);
    let is_empty = |value: &Option<_>| value.as_ref().is_none_or(serde_json::Map::is_empty);
    for (member, is_default) in [
        ("service_tier", is(&request.service_tier, "auto")),
        (
            "prompt_cache_retention",
            is(&request.prompt_cache_retention, "in_memory") || is(&request.prompt_cache_retention, "in-memory"),
        ),
        ("verbosity", is(&request.verbosity, "medium")),
        ("store", request.store != Some(true)),
        ("modalities", request.modalities.as_ref().is_none_or(|modalities| *modalities == ["text"])),
        ("metadata", is_empty(&request.metadata)),
        ("logit_bias", is_empty(&request.logit_bias)),
    ] {
        if !is_default {
            return Err(foreign(member));
        }
    }
    if let Some(StreamOptions { include_obfuscation, rest, .. }) = &request.stream_options {
        no_rest(rest, "stream_options")?;
        if *include_obfuscation == Some(true) {
            return Err(foreign("stream_options.include_obfuscation"));
        }
    }
    Ok(())
}

/// One value that has two names: either, or both alike.
fn one_of<T: PartialEq>(
    new: Option<T>,
    old: Option<T>,
    old_name: &str,
    new_name: &str,
) -> Result<Option<T>, Inexpressible> {
    match (new, old) {
        (Some(new), Some(old)) if new != old => {
            Err(refuse(old_name, format!("`{old_name}` contradicts `{new_name}`; leave it out.")))
        }
        (new, old) => Ok(new.or(old)),
    }
}

fn tools(tools: Vec<Tool>) -> Result<Vec<neutral::Tool>, Inexpressible> {
    let read = |(index, tool)| {
        let path = format!("tools[{index}]");
        let Tool::Function { function, rest } = tool else {
            return Err(foreign(format!("{path}.custom")));
        };
        no_rest(&rest, &path)?;
        let Function { name, description, parameters, strict, rest } = function;
        no_rest(&rest, &format!("{path}.function"))?;
        if parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
            return Err(refuse(
                format!("{path}.function.parameters"),
                "The schema must be a JSON schema, which is an object.",
            ));
        }
        Ok(neutral::Tool { name, description, parameters, strict })
    };
    tools.into_iter().enumerate().map(read).collect()
}

fn tool_choice(choice: TextOr<ToolChoice>) -> Result<neutral::ToolChoice, Inexpressible> {
    match choice {
        TextOr::Text(text) => match text.as_str() {
            "auto" => Ok(neutral::ToolChoice::Auto),
            "none" => Ok(neutral::ToolChoice::None),
            "required" => Ok(neutral::ToolChoice::Required),
            _ => Err(refuse(
                "tool_choice",
                "The choice must be `auto`, `none`, `required` or an object that names a function.",
            )),
        },
        TextOr::Other(ToolChoice::Function { function, rest }) => {
            no_rest(&rest, "tool_choice")?;
            no_rest(&function.rest, "tool_choice.function")?;
            Ok(neutral::ToolChoice::Named(function.name))
        }
        TextOr::Other(ToolChoice::Custom { .. }) => Err(foreign("tool_choice.custom")),
        TextOr::Other(ToolChoice::AllowedTools { .. }) => Err(foreign("tool_choice.allowed_tools")),
    }
}

fn format(format: ResponseFormat) -> Result<Option<Format>, Inexpressible> {
    let (ResponseFormat::Text { rest } | ResponseFormat::JsonObject { rest } | ResponseFormat::JsonSchema { rest, .. }) =
        &format;
    no_rest(rest, "response_format")?;
    match format {
        ResponseFormat::Text { .. } => Ok(None),
        ResponseFormat::JsonObject { .. } => Ok(Some(Format::Json)),
        ResponseFormat::JsonSchema { json_schema, .. } => {
            no_rest(&json_schema.rest, "response_format.json_schema")?;
            let schema = json_schema.schema.filter(serde_json::Value::is_object);
            let schema = schema.ok_or_else(|| {
                refuse("response_format.json_schema.schema", "The schema must be a JSON schema, which is an object.")
            })?;
            Ok(Some(Format::Schema {
                name: Some(json_schema.name),
                description: json_schema.description,
                schema,
                strict: json_schema.strict,
            }))
        }
    }
}
