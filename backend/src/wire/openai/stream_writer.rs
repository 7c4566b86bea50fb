//! Writes a stream for a client.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{message::ExtraContent, reasoning_details::ReasoningDetail, stop, usage::Usage};
use crate::{
    ports,
    wire::{Origin, neutral::Delta},
};

/// A piece of a streamed answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatCompletionChunk)]
pub(crate) struct Chunk<'a> {
    /// Id of the answer, the same in all pieces.
    id: &'a str,
    /// `chat.completion.chunk`.
    object: &'static str,
    /// When the answer was begun, in seconds since 1970.
    created: u64,
    /// The model that answers.
    model: &'a str,
    /// More of the answers; none where usage comes alone.
    choices: &'a [ChunkChoice],
    /// With `stream_options.include_usage`: tokens in the last piece, `null` in the others.
    #[serde(skip_serializing_if = "WrittenUsage::is_unwanted")]
    #[schema(value_type = Option<Usage>)]
    usage: WrittenUsage,
}

/// Where usage is wanted, all chunks but the last have `null`.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenUsage {
    Unwanted,
    Wanted(Option<Usage>),
}

impl WrittenUsage {
    fn is_unwanted(&self) -> bool {
        matches!(self, Self::Unwanted)
    }
}

/// A piece of one of the answers.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ChatChunkChoice)]
struct ChunkChoice {
    /// Its number.
    index: u32,
    /// More of what the model says.
    delta: ChunkDelta,
    /// Probabilities of tokens.
    logprobs: Option<Value>,
    /// In its last piece: `stop`, `length`, `tool_calls`, `content_filter`.
    finish_reason: Option<&'static str>,
}

/// More of what the model says.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ChatChunkDelta)]
struct ChunkDelta {
    /// In its first piece: `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// More of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// More of why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// More of what it thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    /// What it thought, and the proof of it, in OpenRouter's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<[ReasoningDetail; 1]>,
    /// More of what it calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallPiece; 1]>,
}

/// A piece of a call of a tool.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatCallPiece)]
struct CallPiece {
    /// The number of the call.
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionPiece,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent>,
}

/// A piece of a called function.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatFunctionPiece)]
struct FunctionPiece {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

/// Writes a stream for a client. What ends it, `[DONE]`, is not written here.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    usage: Option<ports::Usage>,
    /// The choices that have told their role.
    begun: BTreeSet<u32>,
    /// How many pieces of reasoning of a choice are complete.
    reasoned: BTreeMap<u32, u64>,
}

impl StreamWriter {
    /// `include_usage`: the client wants the chunk with usage.
    pub(crate) fn new(origin: Origin, include_usage: bool) -> Self {
        Self {
            id: super::own_id(&origin),
            model: origin.model,
            created: origin.created,
            include_usage,
            usage: None,
            begun: BTreeSet::new(),
            reasoned: BTreeMap::new(),
        }
    }

    /// Writes one piece.
    pub(crate) fn write(&mut self, delta: Delta, chunks: &mut Vec<ports::Chunk>) {
        let mut written = ChunkChoice::default();
        let piece = &mut written.delta;
        written.index = match delta {
            Delta::Begin { id, model } => {
                self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                return;
            }
            Delta::Usage(usage) => {
                self.usage = Some(usage);
                return;
            }
            Delta::Done => {
                if let Some(usage) = self.usage.filter(|_| self.include_usage) {
                    chunks.push(self.chunk(&[], Some(usage.into()), false));
                }
                return;
            }
            Delta::Text { choice, text } => {
                piece.content = Some(text);
                choice
            }
            Delta::Refusal { choice, text } => {
                piece.refusal = Some(text);
                choice
            }
            Delta::Reasoning { choice, text } => {
                piece.reasoning_content = Some(text.clone());
                piece.reasoning_details = Some([self.detail(choice, ReasoningDetail::text(Some(text), None))]);
                choice
            }
            Delta::ReasoningSignature { choice, signature } => {
                piece.reasoning_details = Some([self.detail(choice, ReasoningDetail::text(None, Some(signature)))]);
                *self.reasoned.entry(choice).or_default() += 1;
                choice
            }
            Delta::RedactedReasoning { choice, data } => {
                piece.reasoning_details = Some([self.detail(choice, ReasoningDetail::encrypted(data))]);
                *self.reasoned.entry(choice).or_default() += 1;
                choice
            }
            Delta::ToolCall { choice, call, id, name, signature } => {
                piece.tool_calls = Some([CallPiece {
                    index: call,
                    id: Some(id),
                    kind: Some("function"),
                    function: FunctionPiece { name: Some(name), arguments: String::new() },
                    extra_content: signature.map(ExtraContent::signed),
                }]);
                choice
            }
            Delta::Arguments { choice, call, json } => {
                let function = FunctionPiece { name: None, arguments: json };
                piece.tool_calls =
                    Some([CallPiece { index: call, id: None, kind: None, function, extra_content: None }]);
                choice
            }
            Delta::Logprobs { choice, logprobs } => {
                written.logprobs = Some(logprobs);
                choice
            }
            Delta::Stop { choice, stop } => {
                written.finish_reason = Some(stop::write(&stop));
                choice
            }
        };
        let content = written.finish_reason.is_none() && written.logprobs.is_none();
        if self.begun.insert(written.index) {
            written.delta.role = Some("assistant");
        }
        chunks.push(self.chunk(&[written], None, content));
    }

    fn detail(&self, choice: u32, detail: ReasoningDetail) -> ReasoningDetail {
        ReasoningDetail { index: Some(self.reasoned.get(&choice).copied().unwrap_or_default()), ..detail }
    }

    fn chunk(&self, choices: &[ChunkChoice], usage: Option<Usage>, content: bool) -> ports::Chunk {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: if self.include_usage { WrittenUsage::Wanted(usage) } else { WrittenUsage::Unwanted },
        };
        // Texts, numbers and lists only: there is nothing that JSON could not hold.
        ports::Chunk { event: None, data: serde_json::to_string(&chunk).unwrap_or_default(), content }
    }
}
