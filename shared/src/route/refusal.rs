//! What a client is told whose request nothing can answer.

use super::near_names::near;
use crate::{
    catalogue::{Capabilities, Catalogue, Model},
    chat_request::ChatFacts,
    error_body::{ClientError, ErrorCode},
};

/// Most models that are named as an alternative.
const ALTERNATIVES: usize = 5;

/// The catalogue does not have the model.
pub(super) fn unknown_model(catalogue: &Catalogue, asked: &str) -> ClientError {
    let mut message = ["The model `", &shown(asked), "` does not exist here"].concat();
    let near = near(catalogue, asked);
    if near.is_empty() {
        message += "; GET /v1/models lists them.";
    } else {
        message += "; did you mean ";
        message += &listed(near.iter().map(String::as_str));
        message += "? GET /v1/models lists all.";
    }
    ClientError::new(ErrorCode::ModelNotFound, message).with_param("model")
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
    for (capability, word, member) in [
        (Capabilities::TOOLS, "tools", "tools"),
        (Capabilities::VISION, "images", "messages"),
        (Capabilities::JSON_SCHEMA, "JSON schemas", "response_format"),
        (Capabilities::REASONING, "an effort of reasoning", "reasoning_effort"),
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
    let message = format!(
        "The prompt has about {} tokens; `{}` takes at most {window} with the answer. Send less.",
        facts.prompt_tokens,
        shown(&facts.model)
    );
    ClientError::new(ErrorCode::ContextLengthExceeded, message).with_param("messages")
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
