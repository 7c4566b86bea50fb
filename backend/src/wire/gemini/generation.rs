//! How the answer is to be made: lengths, chance, form and reasoning.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Number, Value};

use crate::{
    ports::Inexpressible,
    wire::{
        Model,
        neutral::{Format, Reasoning, Request},
        strict::refuse,
    },
};

/// Most texts that end an answer; source: <https://ai.google.dev/api/generate-content#generationconfig>.
const STOP_SEQUENCES: usize = 5;

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<i32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    /// JSON Schema; its elder brother `responseSchema` is a dialect of `OpenAPI`'s schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_resolution: Option<&'static str>,
}

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

impl GenerationConfig<'_> {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the request says of it.
pub(super) fn configure<'a>(
    request: &'a Request,
    model: &Model,
    media_resolution: Option<&'static str>,
) -> Result<GenerationConfig<'a>, Inexpressible> {
    if request.stop.len() > STOP_SEQUENCES {
        let advice = format!("This provider takes at most {STOP_SEQUENCES} texts that end the answer; send fewer.");
        return Err(refuse(request.places.stop(), advice));
    }
    let (response_mime_type, response_json_schema) = match &request.format {
        None => (None, None),
        Some(Format::Json) => (Some("application/json"), None),
        Some(Format::Schema { description, schema, .. }) => {
            (Some("application/json"), Some(described(schema, description.as_deref())?))
        }
    };
    Ok(GenerationConfig {
        candidate_count: int32(request.choices, "n")?,
        stop_sequences: &request.stop,
        max_output_tokens: int32(request.max_tokens, request.places.max_tokens())?,
        temperature: request.temperature.as_ref(),
        top_p: request.top_p.as_ref(),
        top_k: int32(request.top_k, "top_k")?,
        seed: int32(request.seed, "seed")?,
        presence_penalty: request.presence_penalty.as_ref(),
        frequency_penalty: request.frequency_penalty.as_ref(),
        response_logprobs: request.logprobs,
        logprobs: int32(request.top_logprobs, "top_logprobs")?,
        response_mime_type,
        response_json_schema,
        thinking_config: request
            .reasoning
            .as_ref()
            .filter(|reasoning| model.reasons || **reasoning != Reasoning::Off)
            .map(|reasoning| think(reasoning, request.places.effort(), &model.name))
            .transpose()?,
        media_resolution,
    })
}

/// The API's whole numbers have 32 bits.
fn int32(number: Option<impl TryInto<i32>>, param: &str) -> Result<Option<i32>, Inexpressible> {
    let advice = |()| refuse(param, format!("This provider takes at most {} here.", i32::MAX));
    number.map(|number| number.try_into().map_err(|_| ()).map_err(advice)).transpose()
}

/// A schema with its description, which has its place inside here.
fn described<'a>(schema: &'a Value, description: Option<&str>) -> Result<Cow<'a, Value>, Inexpressible> {
    let Some(description) = description else { return Ok(Cow::Borrowed(schema)) };
    match schema {
        Value::Object(members) if !members.contains_key("description") => {
            let mut members = members.clone();
            members.insert("description".to_owned(), description.into());
            Ok(Cow::Owned(members.into()))
        }
        Value::Object(members) if members["description"] == description => Ok(Cow::Borrowed(schema)),
        _ => {
            let advice = "This provider reads one description, that of the schema itself; leave this one out.";
            Err(refuse("response_format.json_schema.description", advice))
        }
    }
}

/// Whether a model is of a generation that knows budgets alone, by its name.
fn is_before_levels(model: &str) -> bool {
    model.starts_with("gemini-2") || model.starts_with("gemini-1")
}

/// How much is thought.
///
/// Levels are OpenAI's words for models of generation 3 and later; budgets are for those before it, and later ones
/// still take them: 0 is none, -1 as much as the model finds right. Summaries of thoughts come only when asked for, and
/// are wanted wherever reasoning is. Models that cannot think are not told not to: they refuse it. Source:
/// <https://ai.google.dev/gemini-api/docs/thinking>. What efforts are in tokens is told by Google for its own OpenAI
/// compatibility: <https://ai.google.dev/gemini-api/docs/openai>.
fn think(reasoning: &Reasoning, effort: &str, model: &str) -> Result<ThinkingConfig, Inexpressible> {
    let budget = |tokens| ThinkingConfig {
        include_thoughts: (tokens != 0).then_some(true),
        thinking_budget: Some(tokens),
        ..ThinkingConfig::default()
    };
    let level = match reasoning {
        Reasoning::Off => return Ok(budget(0)),
        Reasoning::Adaptive => return Ok(budget(-1)),
        Reasoning::Budget(tokens) => return Ok(budget(int32(Some(*tokens), "thinking.budget_tokens")?.unwrap_or(-1))),
        Reasoning::Effort(word) => match word.as_str() {
            "none" => return Ok(budget(0)),
            "minimal" | "low" if is_before_levels(model) => return Ok(budget(1_024)),
            "medium" if is_before_levels(model) => return Ok(budget(8_192)),
            "high" if is_before_levels(model) => return Ok(budget(24_576)),
            "minimal" => "minimal",
            "low" => "low",
            "medium" => "medium",
            "high" => "high",
            _ => {
                let advice = "This provider knows the efforts `none`, `minimal`, `low`, `medium` and `high`; use one.";
                return Err(refuse(effort, advice));
            }
        },
    };
    Ok(ThinkingConfig { include_thoughts: Some(true), thinking_level: Some(level), ..ThinkingConfig::default() })
}
