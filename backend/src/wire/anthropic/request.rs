//! The request of Anthropic's messages, as far as this gateway knows it.
//!
//! Source: <https://platform.claude.com/docs/en/api/messages>.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::block::{Block, MessagesContent};
use crate::wire::strict::{Rest, TextOr};

/// A request for a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct MessagesRequest {
    /// A name of `GET /v1/models`.
    pub(crate) model: String,
    /// Longest answer in tokens, thinking included.
    #[schema(minimum = 1)]
    pub(crate) max_tokens: u64,
    /// Instructions: a text, or blocks of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessagesContent>)]
    pub(crate) system: Option<TextOr<Vec<Block>>>,
    /// The conversation so far.
    #[schema(min_items = 1)]
    pub(crate) messages: Vec<Message>,
    /// What the model may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<Vec<Tool>>,
    /// Whether it must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_choice: Option<ToolChoice>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_sequences: Option<Vec<String>>,
    /// Randomness, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) temperature: Option<Number>,
    /// Nucleus sampling: the share of probability that is sampled from, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) top_p: Option<Number>,
    /// How many of the likeliest tokens are sampled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_k: Option<u64>,
    /// Whether the model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thinking: Option<Thinking>,
    /// How hard it tries, and the form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_config: Option<OutputConfig>,
    /// The older place of `output_config.format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_format: Option<OutputFormat>,
    /// About the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata>,
    /// `auto` or `standard_only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_tier: Option<String>,
    /// The answer is to be streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = false)]
    pub(crate) stream: Option<bool>,
    /// What tells the conversation from others. It is for this gateway, which no provider is told.
    #[serde(skip_serializing)]
    pub(crate) conversation_id: Option<Value>,
    /// A hint that the provider may keep the prompt for a while. It changes no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<Value>,
    /// Any other member passes as it is to a provider that speaks this format, and is refused by its path elsewhere.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesMessage)]
pub(crate) struct Message {
    /// `user` or `assistant`.
    pub(crate) role: String,
    /// What is said.
    #[schema(value_type = MessagesContent)]
    pub(crate) content: TextOr<Vec<Block>>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesTool)]
pub(crate) struct Tool {
    /// `custom`; others are run by Anthropic.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// JSON schema of its arguments. Tools that are run by Anthropic have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_schema: Option<Value>,
    /// Arguments must keep to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
    /// A hint that the provider may keep the prompt up to here for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<Value>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// Whether a tool must be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesToolChoice)]
pub(crate) struct ToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of `tool`: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// At most one tool is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disable_parallel_tool_use: Option<bool>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesThinking)]
pub(crate) struct Thinking {
    /// `enabled`, `disabled` or `adaptive`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of `enabled`: the tokens that it may take, at least 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget_tokens: Option<u64>,
    /// `summarized` or `omitted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display: Option<String>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// How hard the model tries, and the form of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesOutputConfig)]
pub(crate) struct OutputConfig {
    /// `low`, `medium`, `high`, `xhigh`, `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effort: Option<String>,
    /// The form of the answer, other than free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<OutputFormat>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesOutputFormat)]
pub(crate) struct OutputFormat {
    /// `json_schema`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The schema that it keeps to.
    pub(crate) schema: Value,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// About a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesMetadata)]
pub(crate) struct Metadata {
    /// An opaque id of the client's own user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}
