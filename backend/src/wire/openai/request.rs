//! The request of OpenAI's chat completions, as far as this gateway knows it.
//!
//! Source: <https://developers.openai.com/api/reference/resources/chat>.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::message::Message;
use crate::wire::strict::{Rest, TextOr};

/// A chat request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequest)]
pub(crate) struct ChatRequest {
    /// A name of `GET /v1/models`.
    pub(crate) model: String,
    /// The conversation so far, instructions first.
    #[schema(min_items = 1)]
    pub(crate) messages: Vec<Message>,
    /// Longest answer in tokens, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) max_completion_tokens: Option<u64>,
    /// The older name of `max_completion_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) max_tokens: Option<u64>,
    /// Randomness, from 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) temperature: Option<Number>,
    /// Nucleus sampling: the share of probability that is sampled from, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) top_p: Option<Number>,
    /// Up to four texts that end the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ChatStop>)]
    pub(crate) stop: Option<TextOr<Vec<String>>>,
    /// Asks for the same answer to the same request, as far as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<i64>,
    /// From -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) presence_penalty: Option<Number>,
    /// From -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(crate) frequency_penalty: Option<Number>,
    /// How many answers are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub(crate) n: Option<u32>,
    /// Whether the probabilities of tokens are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<bool>,
    /// How many likely tokens at each place, from 0 to 20; only with `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_logprobs: Option<u32>,
    /// What the model may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<Vec<Tool>>,
    /// `auto`, `none`, `required`, or one function.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ChatToolChoiceOrWord>)]
    pub(crate) tool_choice: Option<TextOr<ToolChoice>>,
    /// Whether the model may call several tools at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_format: Option<ResponseFormat>,
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_effort: Option<String>,
    /// An opaque id of the client's own user; OpenAI now prefers `safety_identifier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// An opaque id of the client's own user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) safety_identifier: Option<String>,
    /// The answer is to be streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = false)]
    pub(crate) stream: Option<bool>,
    /// How it is to be streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream_options: Option<StreamOptions>,
    /// What tells the conversation from others. It is for this gateway, which no provider is told.
    #[serde(skip_serializing)]
    pub(crate) conversation_id: Option<Value>,
    /// A hint that steers requests with the same beginning to the same cache. It changes no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_cache_key: Option<String>,
    /// `in_memory` or `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_cache_retention: Option<String>,
    /// `auto`, `default`, `flex`, `priority`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_tier: Option<String>,
    /// Whether the provider keeps the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<bool>,
    /// `low`, `medium`, `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verbosity: Option<String>,
    /// `text`, `audio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) modalities: Option<Vec<String>>,
    /// What is kept with a stored answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Map<String, Value>>, additional_properties)]
    pub(crate) metadata: Option<Rest>,
    /// Tokens by their number that are to come more or less often.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Map<String, Value>>, additional_properties)]
    pub(crate) logit_bias: Option<Rest>,
    /// Any other member passes as it is to a provider that speaks this format, and is refused by its path elsewhere.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A text that ends the answer, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `TextOr` reads")]
pub(crate) enum ChatStop {
    /// One.
    Text(String),
    /// Up to four.
    Texts(Vec<String>),
}

/// `auto`, `none` or `required`, or one tool.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `TextOr` reads")]
pub(crate) enum ChatToolChoiceOrWord {
    /// A word.
    Word(String),
    /// A tool.
    Tool(ToolChoice),
}

/// Something that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatTool)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Tool {
    /// A function.
    Function {
        /// The function.
        function: Function,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// A tool that takes free text.
    Custom {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
}

/// A function that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatFunction)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// JSON schema of its arguments; none where it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<Value>,
    /// Arguments must keep to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// The tool that must be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatToolChoice)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToolChoice {
    /// A function.
    Function {
        /// The function.
        function: NamedFunction,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// A tool that takes free text.
    Custom {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// A choice of tools.
    AllowedTools {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
}

/// A function by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatNamedFunction)]
pub(crate) struct NamedFunction {
    /// Its name.
    pub(crate) name: String,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatResponseFormat)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseFormat {
    /// Free text.
    Text {
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Some JSON object.
    JsonObject {
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// JSON by a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
}

/// A schema that an answer keeps to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatJsonSchema)]
pub(crate) struct JsonSchema {
    /// Its name.
    pub(crate) name: String,
    /// What the answer is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The schema; none means any object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
    /// The answer must keep to the schema exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// How an answer is to be streamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatStreamOptions)]
pub(crate) struct StreamOptions {
    /// A last chunk tells the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) include_usage: Option<bool>,
    /// Chunks are padded against guesses from their lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) include_obfuscation: Option<bool>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}
