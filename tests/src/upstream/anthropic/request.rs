//! Reads a request as strictly as Anthropic does.

use serde_json::{Map, Value};

use super::{
    Version,
    blocks::{self, Conversation},
    generation::Generation,
};
use crate::upstream::{
    SCENARIO_FIELD,
    refused::{Refused, unknown_member},
    turn::Turn,
};

/// The members of a request, as the official SDK for Python 2.13 lists them.
const MEMBERS: [&str; 19] = [
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "user_profile_id",
    "workspace_id",
];

/// Members that the version of 2026 has no more.
const SAMPLING: [&str; 3] = ["temperature", "top_k", "top_p"];

/// Fewest tokens of a budget for thinking.
const LEAST_BUDGET: u64 = 1024;

/// What the conversation asks for, or what Anthropic would not take.
pub(super) fn read(body: &Map<String, Value>, version: Version) -> Result<Turn, Refused> {
    let mut known = MEMBERS.to_vec();
    if version == Version::Of2023 {
        known.extend(SAMPLING);
    }
    if let Some(name) = unknown_member(body, &known).filter(|name| *name != SCENARIO_FIELD) {
        return Err(Refused::whole(format!("{name}: Extra inputs are not permitted")));
    }
    for name in ["model", "max_tokens", "messages"] {
        if !body.contains_key(name) {
            return Err(Refused::whole(format!("{name}: Field required")));
        }
    }
    let max_tokens = body["max_tokens"].as_u64().filter(|tokens| *tokens > 0);
    let Some(max_tokens) = max_tokens else {
        return Err(Refused::whole("max_tokens: Input should be greater than or equal to 1"));
    };
    let mut turn = Turn {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streams: body.get("stream").is_some_and(|stream| stream == true),
        max_tokens: Some(max_tokens),
        ..Turn::default()
    };
    read_numbers(body)?;
    read_metadata(body.get("metadata"))?;
    if let Some(system) = body.get("system") {
        blocks::text_of(system, "system")?;
    }
    let Conversation { user_text, results } = blocks::read(&body["messages"], version)?;
    (turn.user_text, turn.results) = (user_text, results);
    turn.stop = read_stops(body.get("stop_sequences"))?;
    let generation = Generation::of(&turn.model);
    turn.thinks = read_thinking(body, max_tokens, generation)?;
    if !generation.takes_effort && body.get("output_config").is_some_and(|config| !config["effort"].is_null()) {
        return Err(Refused::whole("This model does not support the effort parameter."));
    }
    read_tools(&mut turn, body)?;
    if let Some(format) = body.get("output_config").and_then(|config| config.get("format")).filter(|it| !it.is_null()) {
        if format["type"] != "json_schema" || !format["schema"].is_object() {
            return Err(Refused::whole("output_config.format.schema: Field required"));
        }
        turn.schema = Some(format["schema"].clone());
    }
    Ok(turn)
}

fn read_numbers(body: &Map<String, Value>) -> Result<(), Refused> {
    for name in ["temperature", "top_p"] {
        let Some(value) = body.get(name) else { continue };
        if !value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)) {
            return Err(Refused::whole(format!("{name}: range: 0..1")));
        }
    }
    match body.get("top_k") {
        Some(value) if !value.is_u64() => Err(Refused::whole("top_k: Input should be a valid integer")),
        _ => Ok(()),
    }
}

fn read_metadata(metadata: Option<&Value>) -> Result<(), Refused> {
    let members = metadata.and_then(Value::as_object);
    match members.and_then(|members| unknown_member(members, &["user_id"])) {
        Some(name) => Err(Refused::whole(format!("metadata.{name}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn read_stops(stops: Option<&Value>) -> Result<Vec<String>, Refused> {
    let stops = stops.and_then(Value::as_array).into_iter().flatten();
    stops
        .enumerate()
        .map(|(index, stop)| match stop.as_str() {
            Some(stop) if !stop.trim().is_empty() => Ok(stop.to_owned()),
            _ => Err(Refused::whole(format!("stop_sequences.{index}: each stop sequence must contain non-whitespace"))),
        })
        .collect()
}

fn read_thinking(body: &Map<String, Value>, max_tokens: u64, generation: Generation) -> Result<bool, Refused> {
    let Some(thinking) = body.get("thinking") else { return Ok(false) };
    match thinking["type"].as_str() {
        Some("disabled") => return Ok(false),
        Some("adaptive") if generation.is_adaptive => {}
        Some("adaptive") => return Err(Refused::whole("adaptive thinking is not supported on this model")),
        Some("enabled") if !generation.takes_budgets => {
            let hint = "Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.";
            return Err(Refused::whole(format!("\"thinking.type.enabled\" is not supported for this model. {hint}")));
        }
        Some("enabled") => {
            let budget = thinking["budget_tokens"].as_u64().unwrap_or_default();
            if budget < LEAST_BUDGET {
                let message = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
                return Err(Refused::whole(message));
            }
            if budget >= max_tokens {
                return Err(Refused::whole("`max_tokens` must be greater than `thinking.budget_tokens`."));
            }
        }
        _ => return Err(Refused::whole("thinking: Input tag does not match any of the expected tags")),
    }
    if body.get("temperature").is_some_and(|temperature| temperature.as_f64() != Some(1.0)) {
        return Err(Refused::whole("`temperature` may only be set to 1 when thinking is enabled."));
    }
    Ok(true)
}

fn read_tools(turn: &mut Turn, body: &Map<String, Value>) -> Result<(), Refused> {
    let tools = body.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        // Those with another type run at Anthropic.
        if tool["type"].as_str().is_some_and(|kind| kind != "custom") {
            continue;
        }
        let (name, schema) = (tool["name"].as_str().unwrap_or_default(), &tool["input_schema"]);
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 128 || !name.chars().all(named) {
            return Err(Refused::whole(format!("tools.{index}.custom.name: String should match the pattern")));
        }
        let known = ["type", "name", "description", "input_schema", "cache_control", "strict"];
        if let Some(name) = tool.as_object().and_then(|members| unknown_member(members, &known)) {
            return Err(Refused::whole(format!("tools.{index}.custom.{name}: Extra inputs are not permitted")));
        }
        if schema["type"] != "object" {
            return Err(Refused::whole(format!("tools.{index}.custom.input_schema.type: Field required")));
        }
        turn.tools.push((name.to_owned(), schema.clone()));
    }
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if tools.is_none_or(Vec::is_empty) {
        return Err(Refused::whole("tool_choice: may only be specified while providing tools"));
    }
    match choice["type"].as_str() {
        Some("auto") => {}
        Some("none") => turn.tools.clear(),
        Some("any") => turn.must_call = true,
        Some("tool") => {
            turn.tools.retain(|(name, _)| choice["name"] == name.as_str());
            turn.must_call = true;
        }
        _ => return Err(Refused::whole("tool_choice: Input tag does not match any of the expected tags")),
    }
    if turn.must_call && turn.thinks {
        return Err(Refused::whole("Thinking may not be enabled when tool_choice forces tool use."));
    }
    if turn.must_call && turn.tools.is_empty() {
        return Err(Refused::whole("tool_choice: the tool is not among the tools"));
    }
    Ok(())
}
