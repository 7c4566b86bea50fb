//! The messages of OpenAI's chat completions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::reasoning_details::ReasoningDetail;
use crate::wire::strict::{Rest, TextOr};

/// A message of a conversation. Which members it may have depends on its role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub(crate) struct Message {
    /// `developer`, `system`, `user`, `assistant` or `tool`.
    pub(crate) role: String,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ChatContent>)]
    pub(crate) content: Option<TextOr<Vec<Part>>>,
    /// Of an assistant: why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<String>,
    /// Of an assistant: what it thought, and the proof of it, in OpenRouter's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Of an assistant: what it thought, without proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_content: Option<String>,
    /// Of an assistant: another name of `reasoning_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
    /// Of an assistant: what it called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_calls: Option<Vec<ToolCall>>,
    /// Of an assistant: places that it cites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Vec<Value>>,
    /// Of a tool: the call that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_call_id: Option<String>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A text, or parts.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `TextOr` reads")]
pub(crate) enum ChatContent {
    /// A text.
    Text(String),
    /// Parts in their order.
    Parts(Vec<Part>),
}

/// A part of what is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatPart)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Part {
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
    ImageUrl {
        /// The image.
        image_url: ImageUrl,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// Of an assistant: why it did not answer.
    Refusal {
        /// The reason.
        refusal: String,
        /// Other members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// A sound.
    InputAudio {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
    /// A file.
    File {
        /// Its members.
        #[serde(flatten)]
        #[schema(value_type = Map<String, Value>)]
        rest: Rest,
    },
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatImageUrl)]
pub(crate) struct ImageUrl {
    /// Where it is, or a `data:` URL with its bytes in base64.
    pub(crate) url: String,
    /// How closely it is looked at: `low`, `high`, `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A model's call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatToolCall)]
pub(crate) struct ToolCall {
    /// Its place in the list, which the order tells as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u64>,
    /// Its id.
    pub(crate) id: String,
    /// `function`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// The function; a call of a tool of another kind has none.
    pub(crate) function: CalledFunction,
    /// What providers add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extra_content: Option<ExtraContent>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// A called function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatCalledFunction)]
pub(crate) struct CalledFunction {
    /// Its name.
    pub(crate) name: String,
    /// A JSON object as text.
    pub(crate) arguments: String,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

/// What providers add to a tool call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatExtraContent)]
pub(crate) struct ExtraContent {
    /// Google's addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) google: Option<GoogleExtra>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

impl ExtraContent {
    /// The extra content that holds a signature.
    pub(crate) fn signed(signature: String) -> Self {
        let google = GoogleExtra { thought_signature: Some(signature), rest: Rest::new() };
        Self { google: Some(google), rest: Rest::new() }
    }

    /// The signature that it holds.
    pub(crate) fn signature(self) -> Option<String> {
        self.google.and_then(|google| google.thought_signature).filter(|signature| !signature.is_empty())
    }
}

/// What Google adds to a tool call (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatGoogleExtra)]
pub(crate) struct GoogleExtra {
    /// The proof of the thought that led to the call. It must come back with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thought_signature: Option<String>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}
