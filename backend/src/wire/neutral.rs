//! The form between the formats: what a chat request, an answer and a piece of a stream mean.
//!
//! It is a common denominator made large: whatever two of the three families can both say has a place here.

use serde_json::{Number, Value};

use super::places::Places;
use crate::ports::Usage;

/// A chat request. Members that are `None` or empty were not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    /// Instructions that stand before the conversation, one by one.
    pub(crate) system: Vec<String>,
    /// The conversation; neighbours have different roles.
    pub(crate) turns: Vec<Turn>,
    /// What the model may call.
    pub(crate) tools: Vec<Tool>,
    /// Whether it must.
    pub(crate) tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub(crate) parallel_tool_calls: Option<bool>,
    /// Longest answer in tokens.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<Number>,
    pub(crate) top_p: Option<Number>,
    pub(crate) top_k: Option<u64>,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
    pub(crate) seed: Option<i64>,
    pub(crate) presence_penalty: Option<Number>,
    pub(crate) frequency_penalty: Option<Number>,
    /// How many answers are wanted.
    pub(crate) choices: Option<u32>,
    /// Whether probabilities of tokens are wanted.
    pub(crate) logprobs: Option<bool>,
    /// Of how many other tokens at each place.
    pub(crate) top_logprobs: Option<u32>,
    /// The form of the answer, other than free text.
    pub(crate) format: Option<Format>,
    pub(crate) reasoning: Option<Reasoning>,
    /// Who the client's own user is, by some opaque id.
    pub(crate) user: Option<String>,
    /// The answer is to be streamed.
    pub(crate) stream: bool,
    /// Where the client said it, for refusals.
    pub(crate) places: Places,
}

/// One side's part of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Turn {
    /// The client's: results of tools first, then the rest in its order.
    User(Vec<UserPart>),
    /// The model's.
    Assistant(Vec<AssistantPart>),
}

/// A part of what a client says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UserPart {
    Text(String),
    Image(Image),
    /// What a tool gave back.
    ToolResult {
        /// Id of the call.
        id: String,
        /// Texts and images.
        content: Vec<UserPart>,
        is_error: bool,
    },
}

/// An image, by where it is or by its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Image {
    Url {
        url: String,
        /// OpenAI's `detail`: `low`, `high`, `auto`.
        detail: Option<String>,
    },
    Data {
        /// Such as `image/png`.
        media_type: String,
        /// Base64.
        data: String,
        detail: Option<String>,
    },
}

/// A part of what a model says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AssistantPart {
    Text(String),
    /// Why it does not answer.
    Refusal(String),
    /// What it thought, and the provider's proof that it did.
    Reasoning {
        text: String,
        signature: Option<String>,
    },
    /// What it thought, readable for the provider alone.
    RedactedReasoning(String),
    ToolCall(ToolCall),
}

/// A model's wish to call a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: Value,
    /// Gemini's `thoughtSignature`, which must come back with the call.
    pub(crate) signature: Option<String>,
}

/// A function that a model may call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// A JSON schema of its arguments; `None` where it takes none.
    pub(crate) parameters: Option<Value>,
    /// Arguments must keep to the schema exactly.
    pub(crate) strict: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool is called.
    None,
    /// Some tool is called.
    Required,
    /// This tool is called.
    Named(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// Some JSON object.
    Json,
    /// JSON by a schema.
    Schema { name: Option<String>, description: Option<String>, schema: Value, strict: Option<bool> },
}

/// How much is to be thought before the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reasoning {
    /// None at all.
    Off,
    /// As much as the model finds right.
    Adaptive,
    /// OpenAI's words: `minimal`, `low`, `medium`, `high`, …
    Effort(String),
    /// At most so many tokens.
    Budget(u64),
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The provider's id of it.
    pub(crate) id: Option<String>,
    /// What the provider calls the model.
    pub(crate) model: Option<String>,
    /// By their index, from 0.
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
}

/// One of an answer's choices.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Choice {
    pub(crate) parts: Vec<AssistantPart>,
    pub(crate) stop: Option<Stop>,
    /// In OpenAI's shape.
    pub(crate) logprobs: Option<Value>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was complete.
    End,
    /// It was as long as it may be.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// A text that ends answers came, which some providers name.
    Sequence(Option<String>),
    /// The provider, or the model, will not say it.
    Filtered,
    /// The model wants to go on with what it said so far (Anthropic's `pause_turn`).
    Pause,
    /// In the provider's word; a format without that word takes it for [`Stop::End`].
    Other(String),
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delta {
    /// What is known from the beginning on.
    Begin { id: Option<String>, model: Option<String> },
    /// More text of a choice.
    Text { choice: u32, text: String },
    /// More of its refusal.
    Refusal { choice: u32, text: String },
    /// More of its reasoning.
    Reasoning { choice: u32, text: String },
    /// The proof of the reasoning that came before.
    ReasoningSignature { choice: u32, signature: String },
    /// Reasoning that is readable for the provider alone.
    RedactedReasoning { choice: u32, data: String },
    /// A tool call begins; `call` counts the calls of its choice from 0.
    ToolCall { choice: u32, call: u32, id: String, name: String, signature: Option<String> },
    /// More of its arguments, as JSON text.
    Arguments { choice: u32, call: u32, json: String },
    /// Probabilities of tokens, in OpenAI's shape.
    Logprobs { choice: u32, logprobs: Value },
    /// A choice ended.
    Stop { choice: u32, stop: Stop },
    /// Tokens so far.
    Usage(Usage),
    /// The provider says that the answer is complete.
    Done,
}
