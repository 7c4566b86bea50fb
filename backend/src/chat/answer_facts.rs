//! What is read from an answer while it passes: enough for spans, accounts and the rules of streaming.
//!
//! Members that have an unexpected type are passed over: an answer that its client can use must not fail on a detail
//! that only we look at.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Tokens, as the provider counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    /// Of the prompt.
    pub(crate) prompt_tokens: u64,
    /// Of the answer.
    pub(crate) completion_tokens: u64,
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerFacts {
    /// The provider's id of the answer.
    pub(crate) id: Option<String>,
    /// What the provider calls the model that answered.
    pub(crate) model: Option<String>,
    /// Why each choice ended, as far as they have.
    pub(crate) finish_reasons: Vec<String>,
    /// What it cost in tokens.
    pub(crate) usage: Option<Usage>,
    finished: BTreeMap<u64, bool>,
}

/// What one chunk of a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkKind {
    /// It holds a text, tool-call, reasoning or refusal delta.
    pub(super) content: bool,
    /// It holds usage and no choice: the chunk that comes only when asked for.
    pub(super) usage_only: bool,
}

/// The text is not a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnObject;

#[derive(Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

/// The members of a delta that are content, under the names that servers of this wire format use.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

impl Delta<'_> {
    fn has_content(&self) -> bool {
        [
            self.content,
            self.tool_calls,
            self.function_call,
            self.refusal,
            self.reasoning,
            self.reasoning_content,
            self.audio,
        ]
        .into_iter()
        .flatten()
        .any(|value| !matches!(value.get(), "\"\"" | "[]" | "{}"))
    }
}

fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl AnswerFacts {
    /// Reads a whole answer, or one chunk of it.
    pub(super) fn learn(&mut self, json: &str) -> Result<ChunkKind, NotAnObject> {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(json) else {
            // Valid JSON may still fail above, by naming a member twice: then nothing is learnt, and no harm done.
            let is_object = json.trim_start().starts_with('{');
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
            return if is_object && is_json { Ok(ChunkKind::default()) } else { Err(NotAnObject) };
        };
        if !json.trim_start().starts_with('{') {
            return Err(NotAnObject);
        }
        let text = |raw| lenient::<Cow<'_, str>>(raw).map(Cow::into_owned).filter(|text| !text.is_empty());
        self.id = self.id.take().or_else(|| text(wire.id));
        self.model = self.model.take().or_else(|| text(wire.model));
        let usage: Option<Usage> = lenient(wire.usage);
        self.usage = usage.or(self.usage);
        let choices: Option<Vec<Choice<'_>>> = lenient(wire.choices);
        let mut kind = ChunkKind::default();
        for choice in choices.iter().flatten() {
            let finished = self.finished.entry(choice.index).or_default();
            if let Some(reason) = text(choice.finish_reason) {
                *finished = true;
                self.finish_reasons.push(reason);
            }
            kind.content |= lenient::<Delta<'_>>(choice.delta).is_some_and(|delta| delta.has_content());
        }
        kind.usage_only = wire.usage.is_some() && choices.is_some_and(|choices| choices.is_empty());
        Ok(kind)
    }

    /// Whether every choice that was begun has said why it ended.
    pub(super) fn is_finished(&self) -> bool {
        !self.finished.is_empty() && self.finished.values().all(|finished| *finished)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(delta: &str) -> ChunkKind {
        AnswerFacts::default().learn(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)).unwrap()
    }

    #[test]
    fn content_is_what_a_reader_waits_for() {
        for delta in [
            r#"{"content":"x"}"#,
            r#"{"role":"assistant","content":" "}"#,
            r#"{"tool_calls":[{"index":0}]}"#,
            r#"{"function_call":{"name":"f"}}"#,
            r#"{"refusal":"no"}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"reasoning":"hm"}"#,
        ] {
            assert!(kind(delta).content, "{delta}");
        }
        for delta in [
            r#"{"role":"assistant"}"#,
            r#"{"role":"assistant","content":"","refusal":null}"#,
            r#"{"content":null,"tool_calls":[]}"#,
            "{}",
            "null",
        ] {
            assert!(!kind(delta).content, "{delta}");
        }
    }

    #[test]
    fn a_stream_is_put_together() {
        let mut facts = AnswerFacts::default();
        for chunk in [
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
        ] {
            facts.learn(chunk).unwrap();
            assert!(!facts.is_finished());
        }
        facts.learn(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#).unwrap();
        assert!(facts.is_finished());
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
        assert_eq!(facts.learn(usage), Ok(ChunkKind { content: false, usage_only: true }));
        assert_eq!(facts.finish_reasons, ["stop", "length"]);
        assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("a"), Some("m")));
        assert_eq!(facts.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4 }));
    }

    #[test]
    fn usage_beside_a_choice_is_not_the_usage_chunk() {
        let mut facts = AnswerFacts::default();
        let kind = facts.learn(r#"{"choices":[{"delta":{"content":"x"}}],"usage":null}"#).unwrap();
        assert_eq!(kind, ChunkKind { content: true, usage_only: false });
        let kind = facts.learn(r#"{"choices":[],"usage":null,"prompt_filter_results":[]}"#).unwrap();
        assert!(!kind.usage_only);
    }

    #[test]
    fn odd_members_are_passed_over_and_other_texts_refused() {
        let mut facts = AnswerFacts::default();
        for odd in [r#"{"id":7,"model":[],"choices":{},"usage":"x"}"#, r#"{"id":"a","id":"b"}"#, "{}"] {
            assert_eq!(facts.learn(odd), Ok(ChunkKind::default()), "{odd}");
        }
        assert_eq!(facts, AnswerFacts::default());
        for other in ["", "[]", "[1,2,3,4]", "null", "{", "x", r#"{"a":}"#] {
            assert_eq!(facts.learn(other), Err(NotAnObject), "{other}");
        }
    }

    proptest! {
        #[test]
        fn learning_never_panics(json in "\\PC*") {
            let _ = AnswerFacts::default().learn(&json);
        }
    }
}
