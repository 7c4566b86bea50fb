//! Whole answers of OpenAI's chat completions. Members that providers add are passed over.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    content::{self, Content},
    message::ToolCall,
    reasoning_details::ReasoningDetail,
    stop,
    usage::Usage,
    write_request,
};
use crate::wire::{
    Origin, Unreadable, arguments, lenient,
    neutral::{self, Answer, AssistantPart},
    strict::TextOr,
};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChatCompletion {
    /// Its id.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// `chat.completion`.
    #[serde(default)]
    pub(crate) object: Option<String>,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub(crate) created: Option<Value>,
    /// The model that answered.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The answers: as many as `n` asked for.
    pub(crate) choices: Vec<ChatChoice>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::member")]
    pub(crate) usage: Option<Usage>,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChatChoice {
    /// Its number.
    #[serde(default)]
    pub(crate) index: u32,
    /// What the model says.
    pub(crate) message: AnswerMessage,
    /// Probabilities of tokens.
    #[serde(default)]
    pub(crate) logprobs: Option<Value>,
    /// `stop`, `length`, `tool_calls`, `content_filter`.
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
}

/// What the model says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChatAnswerMessage)]
pub(crate) struct AnswerMessage {
    /// `assistant`.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// Its text.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) content: Option<Content>,
    /// Why it does not answer.
    #[serde(default)]
    pub(crate) refusal: Option<String>,
    /// What it thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_content: Option<String>,
    /// Another name of `reasoning_content`, as OpenRouter has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
    /// What it thought, and the proof of it, in OpenRouter's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_details: Option<Vec<ReasoningDetail>>,
    /// What it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool_calls: Option<Vec<ToolCall>>,
}

/// Reads a server's answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    let answer: ChatCompletion =
        serde_json::from_slice(body).map_err(|_| Unreadable("the answer is no chat completion"))?;
    let mut choices = answer.choices;
    if choices.is_empty() {
        return Err(Unreadable("the answer's list of choices is empty"));
    }
    choices.sort_by_key(|choice| choice.index);
    Ok(Answer {
        id: answer.id.filter(|id| !id.is_empty()),
        model: answer.model.filter(|model| !model.is_empty()),
        choices: choices.into_iter().map(read_choice).collect::<Result<_, _>>()?,
        usage: answer.usage.map(Into::into),
    })
}

fn read_choice(choice: ChatChoice) -> Result<neutral::Choice, Unreadable> {
    let ChatChoice { message, logprobs, finish_reason, .. } = choice;
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let details = message.reasoning_details.unwrap_or_default();
    let mut parts: Vec<_> = details.into_iter().filter_map(ReasoningDetail::read_leniently).collect();
    if parts.is_empty() {
        let text = said(message.reasoning_content).or(said(message.reasoning));
        parts.extend(text.map(|text| AssistantPart::Reasoning { text, signature: None }));
    }
    parts.extend(content::read(message.content));
    parts.extend(said(message.refusal).map(AssistantPart::Refusal));
    for call in message.tool_calls.unwrap_or_default() {
        let arguments = match arguments::read(&call.function.arguments) {
            Some(arguments) => arguments,
            // The bound cut it: nobody can make that call, and the reason why the answer ended says so.
            None if finish_reason.as_deref() == Some("length") => continue,
            None => return Err(Unreadable("the arguments of a tool call are no JSON object")),
        };
        parts.push(AssistantPart::ToolCall(neutral::ToolCall {
            id: call.id,
            name: call.function.name,
            arguments,
            signature: call.extra_content.and_then(super::message::ExtraContent::signature),
        }));
    }
    let called = parts.iter().any(|part| matches!(part, AssistantPart::ToolCall(_)));
    Ok(neutral::Choice { parts, stop: finish_reason.map(|reason| stop::read(&reason, called)), logprobs })
}

/// Writes an answer for a client. Its id is the provider's, or made of the request's. Why it ended is `null` where the
/// provider does not say it.
pub(crate) fn write_answer(answer: &Answer, origin: &Origin) -> Vec<u8> {
    let choices = (0..).zip(&answer.choices).map(|(index, choice)| ChatChoice {
        index,
        message: write_message(&choice.parts),
        logprobs: choice.logprobs.clone(),
        finish_reason: choice.stop.as_ref().map(|stop| stop::write(stop).to_owned()),
    });
    let written = ChatCompletion {
        id: Some(answer.id.clone().unwrap_or_else(|| super::own_id(origin))),
        object: Some("chat.completion".to_owned()),
        created: Some(origin.created.into()),
        model: Some(answer.model.clone().unwrap_or_else(|| origin.model.clone())),
        choices: choices.collect(),
        usage: answer.usage.map(Into::into),
    };
    // Texts, numbers and lists only: there is nothing that JSON could not hold.
    serde_json::to_vec(&written).unwrap_or_default()
}

fn write_message(parts: &[AssistantPart]) -> AnswerMessage {
    let mut message = AnswerMessage { role: Some("assistant".to_owned()), ..AnswerMessage::default() };
    let mut content: Option<String> = None;
    for part in parts {
        let (text, more) = match part {
            AssistantPart::Text(text) => (&mut content, text),
            AssistantPart::Refusal(refusal) => (&mut message.refusal, refusal),
            AssistantPart::Reasoning { text, .. } if !text.is_empty() => (&mut message.reasoning_content, text),
            AssistantPart::Reasoning { .. } | AssistantPart::RedactedReasoning(_) => continue,
            AssistantPart::ToolCall(call) => {
                message.tool_calls.get_or_insert_default().push(write_request::tool_call(call));
                continue;
            }
        };
        text.get_or_insert_default().push_str(more);
    }
    message.content = content.map(TextOr::Text);
    let details: Vec<_> = parts.iter().filter_map(ReasoningDetail::of).collect();
    message.reasoning_details = Some(details).filter(|details| !details.is_empty());
    message
}
