//! What a server sends: whole answers, and the events of streams, which have the same form.
//!
//! Members that no client's API has a place for are passed over: ratings, citations, grounding, and the signature of a
//! text, which the API recommends to send back but does not ask for.

use goblin_shared::request_id::RequestId;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{logprobs::LogprobsResult, usage::UsageMetadata};
use crate::wire::{Unreadable, neutral::ToolCall};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are the API's")]
pub(super) struct Response {
    #[serde(default)]
    pub(super) candidates: Vec<Candidate>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<UsageMetadata>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    /// Why there are no candidates.
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    index: Option<u32>,
    content: Option<Content>,
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs_result: Option<LogprobsResult>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    inline_data: Option<IgnoredAny>,
    file_data: Option<IgnoredAny>,
    executable_code: Option<IgnoredAny>,
    code_execution_result: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

/// What a part says.
pub(super) enum Said {
    Text(String),
    Reasoning { text: String, signature: Option<String> },
    ToolCall(ToolCall),
    Nothing,
}

impl Response {
    /// Reads a body, or the data of an event.
    pub(super) fn read(json: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(json).map_err(|_| Unreadable("it is no GenerateContentResponse"))
    }

    /// Whether the prompt was found to be such as is not answered.
    pub(super) fn is_blocked(&self) -> bool {
        self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some())
    }
}

impl Candidate {
    /// Its index, or else its place in the list.
    pub(super) fn index(&self, place: usize) -> u32 {
        self.index.or_else(|| place.try_into().ok()).unwrap_or(u32::MAX)
    }

    /// Takes its parts.
    pub(super) fn take_parts(&mut self) -> Vec<Part> {
        self.content.take().map_or_else(Vec::new, |content| content.parts)
    }
}

impl Part {
    /// What it says.
    pub(super) fn read(self, ids: &mut CallIds) -> Result<Said, Unreadable> {
        let Self { text, thought, thought_signature: signature, function_call, .. } = self;
        let others = [self.inline_data, self.file_data, self.executable_code, self.code_execution_result];
        if others.iter().any(Option::is_some) {
            return Err(Unreadable("it holds a part that is neither text nor a call, which nobody asked for"));
        }
        if let Some(FunctionCall { id, name, args }) = function_call {
            let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| ids.make());
            return Ok(Said::ToolCall(ToolCall { id, name, arguments: args.into(), signature }));
        }
        let text = text.unwrap_or_default();
        Ok(match (thought, text.is_empty() && (signature.is_none() || !thought)) {
            (_, true) => Said::Nothing,
            (true, false) => Said::Reasoning { text, signature },
            (false, false) => Said::Text(text),
        })
    }
}

/// Makes ids for calls that have none: `call_`, the request's id without its hyphens, and a number. They are unique, as
/// the request's id is.
#[derive(Debug)]
pub(super) struct CallIds {
    request_id: RequestId,
    next: u32,
}

impl CallIds {
    pub(super) fn new(request_id: RequestId) -> Self {
        Self { request_id, next: 0 }
    }

    fn make(&mut self) -> String {
        let id = format!("call_{}_{}", self.request_id.to_string().replace('-', ""), self.next);
        self.next = self.next.saturating_add(1);
        id
    }
}
