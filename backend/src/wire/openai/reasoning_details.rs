//! Reasoning in OpenRouter's shape, which OpenAI's has no words for.
//!
//! Source: <https://openrouter.ai/docs/use-cases/reasoning-tokens>.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ports::Inexpressible,
    wire::{
        neutral::AssistantPart,
        strict::{Rest, foreign, needed, no_rest, refuse},
    },
};

/// A piece of reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatReasoningDetail)]
pub(crate) struct ReasoningDetail {
    /// `reasoning.text`, `reasoning.encrypted` or `reasoning.summary`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of a text: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// Of a text: the provider's proof of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    /// Of an encrypted one: what the provider alone can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    /// Of a summary: the summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) summary: Option<String>,
    /// Which piece it is, where pieces come in pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u64>,
    /// An id of it. It means nothing elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Value>,
    /// Whose proof it is. It means nothing elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<Value>,
    /// Other members.
    #[serde(flatten)]
    #[schema(value_type = Map<String, Value>)]
    pub(crate) rest: Rest,
}

const TEXT: &str = "reasoning.text";
const ENCRYPTED: &str = "reasoning.encrypted";
const SUMMARY: &str = "reasoning.summary";

impl ReasoningDetail {
    /// A text, a proof, or both.
    pub(crate) fn text(text: Option<String>, signature: Option<String>) -> Self {
        Self { kind: TEXT.to_owned(), text, signature, ..Self::default() }
    }

    /// What the provider alone can read.
    pub(crate) fn encrypted(data: String) -> Self {
        Self { kind: ENCRYPTED.to_owned(), data: Some(data), ..Self::default() }
    }

    /// Writes what is reasoning.
    pub(crate) fn of(part: &AssistantPart) -> Option<Self> {
        match part {
            AssistantPart::Reasoning { text, signature } => Some(Self::text(Some(text.clone()), signature.clone())),
            AssistantPart::RedactedReasoning(data) => Some(Self::encrypted(data.clone())),
            _ => None,
        }
    }

    /// Reads a client's.
    pub(crate) fn read(self, path: &str) -> Result<AssistantPart, Inexpressible> {
        no_rest(&self.rest, path)?;
        match self.kind.as_str() {
            TEXT => Ok(AssistantPart::Reasoning {
                text: self.text.unwrap_or_default(),
                signature: self.signature.filter(|signature| !signature.is_empty()),
            }),
            ENCRYPTED => needed(self.data, path, "data").map(AssistantPart::RedactedReasoning),
            SUMMARY => Err(refuse(path, "A summary proves no reasoning; leave it out.")),
            _ => Err(foreign(format!("{path}.type"))),
        }
    }

    /// Reads a server's; one of an unknown type is passed over.
    pub(crate) fn read_leniently(self) -> Option<AssistantPart> {
        match self.kind.as_str() {
            TEXT | SUMMARY => Some(AssistantPart::Reasoning {
                text: self.text.or(self.summary).unwrap_or_default(),
                signature: self.signature.filter(|signature| !signature.is_empty()),
            }),
            ENCRYPTED => self.data.map(AssistantPart::RedactedReasoning),
            _ => None,
        }
    }
}
