//! Whole answers of Anthropic's messages. Members and blocks that are added later are passed over.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{block::Block, stop, usage::Usage};
use crate::wire::{
    Origin, Unreadable, lenient,
    neutral::{Answer, AssistantPart, Choice, ToolCall},
    strict::Rest,
};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct AnswerMessage {
    /// Its id.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// `message`.
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    /// `assistant`.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// The model that answered.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// What it says.
    pub(crate) content: Vec<Block>,
    /// Why it ended.
    #[serde(default)]
    pub(crate) stop_reason: Option<String>,
    /// The text that ended it.
    #[serde(default)]
    pub(crate) stop_sequence: Option<String>,
    /// Tokens.
    #[serde(default, deserialize_with = "lenient::member")]
    pub(crate) usage: Option<Usage>,
}

/// Reads a server's answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let answer: AnswerMessage = serde_json::from_slice(body).map_err(|_| Unreadable("the answer is no message"))?;
    let mut parts = Vec::new();
    for block in answer.content {
        parts.extend(match block {
            Block::Text { text, .. } => Some(text).filter(|text| !text.is_empty()).map(AssistantPart::Text),
            Block::Thinking { thinking, signature, .. } => {
                let signature = Some(signature).filter(|signature| !signature.is_empty());
                Some(AssistantPart::Reasoning { text: thinking, signature })
            }
            Block::RedactedThinking { data, .. } => Some(AssistantPart::RedactedReasoning(data)),
            Block::ToolUse { id, name, input, .. } => {
                if !input.is_object() {
                    return Err(Unreadable("the input of a tool call is no JSON object"));
                }
                Some(AssistantPart::ToolCall(ToolCall { id, name, arguments: input, signature: None }))
            }
            // Nothing was asked for that would come in others.
            Block::Image { .. } | Block::ToolResult { .. } | Block::Other => None,
        });
    }
    let sequence = answer.stop_sequence;
    let stop = answer.stop_reason.map(|reason| stop::read(&reason, sequence));
    Ok(Answer {
        id: answer.id.filter(|id| !id.is_empty()),
        model: answer.model.filter(|model| !model.is_empty()),
        choices: vec![Choice { parts, stop, logprobs: None }],
        usage: answer.usage.map(Into::into),
    })
}

/// Writes an answer for a client: its first choice, for this format has no more and no provider was asked for more.
/// Its id is the provider's, or made of the request's. Why it ended is `null` where the provider does not say it.
pub(crate) fn write_answer(answer: &Answer, origin: &Origin) -> Vec<u8> {
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let refused = choice.parts.iter().any(|part| matches!(part, AssistantPart::Refusal(_)));
    let (reason, sequence) = choice.stop.as_ref().map(|stop| stop::write(stop, refused)).unzip();
    let written = AnswerMessage {
        id: Some(answer.id.clone().unwrap_or_else(|| super::own_id(origin))),
        kind: Some("message".to_owned()),
        role: Some("assistant".to_owned()),
        model: Some(answer.model.clone().unwrap_or_else(|| origin.model.clone())),
        content: choice.parts.iter().cloned().map(block).collect(),
        stop_reason: reason.map(str::to_owned),
        stop_sequence: sequence.flatten().map(str::to_owned),
        // The member must be there.
        usage: Some(answer.usage.unwrap_or_default().into()),
    };
    // Texts, numbers and lists only: there is nothing that JSON could not hold.
    serde_json::to_vec(&written).unwrap_or_default()
}

fn block(part: AssistantPart) -> Block {
    let rest = Rest::new();
    match part {
        AssistantPart::Text(text) | AssistantPart::Refusal(text) => Block::Text { text, rest },
        AssistantPart::Reasoning { text, signature } => {
            Block::Thinking { thinking: text, signature: signature.unwrap_or_default(), rest }
        }
        AssistantPart::RedactedReasoning(data) => Block::RedactedThinking { data, rest },
        AssistantPart::ToolCall(call) => Block::ToolUse { id: call.id, name: call.name, input: call.arguments, rest },
    }
}
