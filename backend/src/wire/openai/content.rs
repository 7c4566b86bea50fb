//! What a model says, as servers write it: a text, or parts. Mistral's models that reason write parts, their thoughts
//! among them, in whole answers and in pieces alike. Source: <https://docs.mistral.ai/capabilities/reasoning/>.

use serde::{Deserialize, Serialize};

use crate::wire::{neutral::AssistantPart, strict::TextOr};

/// A text, or parts.
pub(super) type Content = TextOr<Vec<Said>>;

/// A part of what a model says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Said {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// What it thought.
    Thinking {
        /// The thought: texts.
        thinking: Content,
    },
    /// Any other, such as a reference to a source.
    #[serde(other, skip_serializing)]
    Other,
}

/// Texts and thoughts, in their order. Empty ones say nothing.
pub(super) fn read(content: Option<Content>) -> Vec<AssistantPart> {
    let parts = match content {
        None => return Vec::new(),
        Some(TextOr::Text(text)) => vec![Said::Text { text }],
        Some(TextOr::Other(parts)) => parts,
    };
    let read = |part| match part {
        Said::Text { text } => (!text.is_empty()).then_some(AssistantPart::Text(text)),
        Said::Thinking { thinking } => {
            let text = text(thinking);
            (!text.is_empty()).then_some(AssistantPart::Reasoning { text, signature: None })
        }
        Said::Other => None,
    };
    parts.into_iter().filter_map(read).collect()
}

/// The texts of a thought as one.
fn text(content: Content) -> String {
    match content {
        TextOr::Text(text) => text,
        TextOr::Other(parts) => parts
            .into_iter()
            .map(|part| match part {
                Said::Text { text } => text,
                Said::Thinking { thinking } => text(thinking),
                Said::Other => String::new(),
            })
            .collect(),
    }
}
