//! What a client is told whose request nothing can answer.

use super::near_names::near;
use crate::{
    api::Api,
    catalogue::{Capabilities, Catalogue, Kind, Model},
    chat_request::ChatFacts,
    error_body::{ClientError, ErrorCode},
};

/// Most models that are named as an alternative.
const ALTERNATIVES: usize = 5;

/// The catalogue does not have the model. Near names are those of models that could answer the request.
pub(super) fn unknown_model(catalogue: &Catalogue, facts: &ChatFacts<'_>) -> ClientError {
    let mut message = ["The model `", &shown(&facts.model), "` does not exist here"].concat();
    let near = near(catalogue, facts.api.kind(), &facts.model);
    if near.is_empty() {
        message += "; GET /v1/models lists them.";
    } else {
        message += "; did you mean ";
        message += &listed(near.iter().map(String::as_str));
        message += "? GET /v1/models lists all.";
    }
    ClientError::new(ErrorCode::ModelNotFound, message).with_param("model")
}

/// The catalogue has the model, but it is for another API.
pub(super) fn wrong_kind(catalogue: &Catalogue, facts: &ChatFacts<'_>) -> ClientError {
    let kind = facts.api.kind();
    let does = match kind {
        Kind::Chat => "makes embeddings and does not chat: send it to POST /v1/embeddings",
        Kind::Embedding => "chats and makes no embeddings: send it to POST /v1/chat/completions or POST /v1/messages",
    };
    let mut message = ["`", &shown(&facts.model), "` ", does].concat();
    let aliases = catalogue.aliases().filter(|(_, alias)| alias.kind() == kind).map(|(name, _)| name);
    let models = catalogue.models().iter().filter(|model| model.kind == kind).map(|model| &*model.name);
    let mut others: Vec<&str> = Vec::new();
    for name in aliases.chain(models) {
        if !others.contains(&name) && others.len() < ALTERNATIVES {
            others.push(name);
        }
    }
    if !others.is_empty() {
        message += ", or name another model here, such as ";
        message += &listed(others.into_iter());
    }
    message += ".";
    ClientError::new(ErrorCode::InvalidField, message).with_param("model")
}

/// None of the models that were asked for can do all that the request needs; `union` is what they can do together.
pub(super) fn incapable<'a>(
    facts: &ChatFacts<'_>,
    union: Capabilities,
    others: impl Iterator<Item = &'a Model>,
) -> ClientError {
    let lacking = facts.needs.without(union);
    // Each can be had, but not all from one model.
    let lacking = if lacking.is_empty() { facts.needs } else { lacking };
    let (mut words, mut param) = (String::new(), "");
    let (schema, reasoning) = match facts.api {
        Api::Messages => ("output_config.format", "thinking"),
        Api::ChatCompletions | Api::Embeddings => ("response_format", "reasoning_effort"),
    };
    for (capability, word, member) in [
        (Capabilities::TOOLS, "tools", "tools"),
        (Capabilities::VISION, "images", "messages"),
        (Capabilities::JSON_SCHEMA, "JSON schemas", schema),
        (Capabilities::REASONING, "an effort of reasoning", reasoning),
    ] {
        if lacking.contains(capability) {
            if param.is_empty() {
                param = member;
            } else {
                words += " with ";
            }
            words += word;
        }
    }
    let mut message = ["`", &shown(&facts.model), "` does not take ", &words].concat();
    let others: Vec<String> = others
        .filter(|model| model.capabilities.contains(facts.needs))
        .map(|model| [&*model.provider, "/", &*model.name].concat())
        .take(ALTERNATIVES)
        .collect();
    if others.is_empty() {
        message += ", and no other model here does.";
    } else {
        message += "; these models do: ";
        message += &listed(others.iter().map(String::as_str));
        message += ".";
    }
    ClientError::new(ErrorCode::InvalidField, message).with_param(param)
}

/// The prompt is too long for all that was asked for, the largest of which takes `window` tokens.
pub(super) fn too_long(facts: &ChatFacts<'_>, window: u32) -> ClientError {
    let (what, with, param) = match facts.api.kind() {
        Kind::Chat => ("The prompt has", " with the answer. Send less.", "messages"),
        Kind::Embedding => ("The longest input has", ". Split it.", "input"),
    };
    let message = format!(
        "{what} about {} tokens; `{}` takes at most {window}{with}",
        facts.longest_input_tokens,
        shown(&facts.model)
    );
    ClientError::new(ErrorCode::ContextLengthExceeded, message).with_param(param)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text += ", ";
        }
        text += "`";
        text += name;
        text += "`";
    }
    text
}

/// A client's text as it may stand in an answer: bounded, without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}
