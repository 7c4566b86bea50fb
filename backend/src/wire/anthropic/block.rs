//! The blocks that Anthropic's messages are made of, in requests and answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::wire::strict::{Rest, TextOr};

/// A block. `cache_control` is a hint that the provider may keep the prompt up to there; it changes no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesBlock)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block {
    /// A text.
    Text {
        /// The text.
        text: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// An image.
    Image {
        /// Where it is.
        source: ImageSource,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Of an assistant: a call of a tool.
    ToolUse {
        /// Its id.
        id: String,
        /// Name of the tool.
        name: String,
        /// A JSON object.
        input: Value,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Of a user: what a tool gave back.
    ToolResult {
        /// Id of the call.
        tool_use_id: String,
        /// Texts and images.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<MessagesContent>, no_recursion)]
        content: Option<TextOr<Vec<Block>>>,
        /// It failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Of an assistant: what it thought.
    Thinking {
        /// The thought.
        thinking: String,
        /// The proof of it.
        #[serde(default)]
        signature: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Of an assistant: what it thought, readable for Anthropic alone.
    RedactedThinking {
        /// The thought.
        data: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Any other: documents, search results, tools that are run by Anthropic.
    #[serde(other, skip_serializing)]
    Other,
}

/// A text, or blocks.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `TextOr` reads")]
pub(crate) enum MessagesContent {
    /// A text.
    Text(String),
    /// Blocks in their order.
    Blocks(Vec<Block>),
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MessagesImageSource)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ImageSource {
    /// Here.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Base64.
        data: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Elsewhere.
    Url {
        /// An `https` URL.
        url: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// In Anthropic's file store.
    File {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
}
