//! What is read from an answer while it passes: enough for spans, accounts and the rules of streaming.
//!
//! Members that have an unexpected type are passed over: an answer that its client can use must not fail on a detail
//! that only we look at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DONE, usage};
use crate::{
    ports::{AnswerFacts, Learnt, Usage},
    wire::{
        Passed, Unreadable,
        lenient::{lenient, text},
        sse,
    },
};

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
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
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

/// Reads a whole answer or a chunk; `None` where a member comes twice: then nothing is learnt, and no harm done.
fn read_object(json: &str) -> Result<Option<Wire<'_>>, Unreadable> {
    const NO_OBJECT: Unreadable = Unreadable("the answer, or a part of it, is not a JSON object");
    if !json.trim_start().starts_with('{') {
        return Err(NO_OBJECT);
    }
    match serde_json::from_str(json) {
        Ok(wire) => Ok(Some(wire)),
        Err(_) if serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() => Ok(None),
        Err(_) => Err(NO_OBJECT),
    }
}

fn read_usage(raw: Option<&RawValue>) -> Option<Usage> {
    lenient::<usage::Usage>(raw).map(Into::into)
}

/// What is read of an answer that passes as it is.
pub(crate) fn read_facts(body: &[u8]) -> Result<AnswerFacts, Unreadable> {
    let body = std::str::from_utf8(body).map_err(|_| Unreadable("the answer is not UTF-8"))?;
    let Some(wire) = read_object(body)? else { return Ok(AnswerFacts::default()) };
    if !wire.choices.is_some_and(|choices| choices.get().starts_with('[')) {
        return Err(Unreadable("the answer has no choices"));
    }
    let choices: Option<Vec<Choice<'_>>> = lenient(wire.choices);
    if choices.as_ref().is_some_and(Vec::is_empty) {
        return Err(Unreadable("the answer's list of choices is empty"));
    }
    Ok(AnswerFacts {
        id: text(wire.id),
        model: text(wire.model),
        finish_reasons: choices.iter().flatten().filter_map(|choice| text(choice.finish_reason)).collect(),
        usage: read_usage(wire.usage),
        service_tier: text(wire.service_tier),
    })
}

/// What is read of a stream that passes as it is.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one thing whether it is known")]
pub(crate) struct Passing {
    id_known: bool,
    model_known: bool,
    tier_known: bool,
    finished: BTreeMap<u64, bool>,
    done: bool,
}

impl Passing {
    /// Reads one event: what is news in it, and what is to be done with it. Id, model and tier are news once.
    pub(crate) fn read(&mut self, event: &sse::Event, news: &mut Vec<Learnt>) -> Result<Passed, Unreadable> {
        match event.data.trim() {
            "" => return Ok(Passed::Nothing),
            DONE => {
                self.done = true;
                return Ok(Passed::Done);
            }
            _ => {}
        }
        let Some(wire) = read_object(&event.data)? else { return Ok(Passed::Chunk { content: false }) };
        let mut learnt = Learnt { usage: read_usage(wire.usage), ..Learnt::default() };
        if !self.id_known {
            learnt.id = text(wire.id);
            self.id_known = learnt.id.is_some();
        }
        if !self.model_known {
            learnt.model = text(wire.model);
            self.model_known = learnt.model.is_some();
        }
        if !self.tier_known {
            learnt.service_tier = text(wire.service_tier);
            self.tier_known = learnt.service_tier.is_some();
        }
        let choices: Option<Vec<Choice<'_>>> = lenient(wire.choices);
        let mut content = false;
        for choice in choices.iter().flatten() {
            let finished = self.finished.entry(choice.index).or_default();
            if let Some(reason) = text(choice.finish_reason) {
                *finished = true;
                if learnt.finish_reason.is_some() {
                    news.push(std::mem::take(&mut learnt));
                }
                learnt.finish_reason = Some(reason);
            }
            content |= lenient::<Delta<'_>>(choice.delta).is_some_and(|delta| delta.has_content());
        }
        if learnt != Learnt::default() {
            news.push(learnt);
        }
        if wire.usage.is_some() && choices.is_some_and(|choices| choices.is_empty()) {
            return Ok(Passed::UsageOnly);
        }
        Ok(Passed::Chunk { content })
    }

    /// The stream has ended, by its own word or with the body: whether the answer is complete, or was cut. Without any
    /// choice there is no answer.
    pub(crate) fn is_complete(&self) -> bool {
        !self.finished.is_empty() && (self.done || self.finished.values().all(|finished| *finished))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(passing: &mut Passing, data: &str) -> Result<(Passed, Vec<Learnt>), Unreadable> {
        let mut news = Vec::new();
        let passed = passing.read(&sse::Event { data: data.to_owned(), ..sse::Event::default() }, &mut news)?;
        Ok((passed, news))
    }

    fn passed(data: &str) -> Passed {
        pass(&mut Passing::default(), data).unwrap().0
    }

    #[test]
    fn content_is_what_a_reader_waits_for() {
        for (delta, content) in [
            (r#"{"content":"x"}"#, true),
            (r#"{"role":"assistant","content":" "}"#, true),
            (r#"{"tool_calls":[{"index":0}]}"#, true),
            (r#"{"function_call":{"name":"f"}}"#, true),
            (r#"{"refusal":"no"}"#, true),
            (r#"{"reasoning_content":"hm"}"#, true),
            (r#"{"reasoning":"hm"}"#, true),
            (r#"{"role":"assistant"}"#, false),
            (r#"{"role":"assistant","content":"","refusal":null}"#, false),
            (r#"{"content":null,"tool_calls":[]}"#, false),
            ("{}", false),
            ("null", false),
        ] {
            let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
            assert_eq!(passed(&chunk), Passed::Chunk { content }, "{delta}");
        }
    }

    #[test]
    fn a_stream_is_put_together() {
        let mut passing = Passing::default();
        let mut facts = AnswerFacts::default();
        for (chunk, complete) in [
            (r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{}}]}"#, false),
            (r#"{"id":"a","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#, false),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#, true),
        ] {
            for news in pass(&mut passing, chunk).unwrap().1 {
                facts.learn(news);
            }
            assert_eq!(passing.is_complete(), complete);
        }
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,
            "prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#;
        let (passed, news) = pass(&mut passing, usage).unwrap();
        for news in news {
            facts.learn(news);
        }
        assert_eq!(passed, Passed::UsageOnly);
        assert_eq!(facts.finish_reasons, ["stop", "length"]);
        assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("a"), Some("m")));
        let usage = Usage {
            prompt_tokens: 3,
            completion_tokens: 4,
            cached_tokens: Some(2),
            cache_write_tokens: None,
            reasoning_tokens: Some(1),
        };
        assert_eq!(facts.usage, Some(usage));
        assert_eq!(pass(&mut passing, "[DONE]"), Ok((Passed::Done, Vec::new())));
    }

    #[test]
    fn an_end_without_any_choice_is_none() {
        let (mut passing, choice) = (Passing::default(), r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#);
        assert_eq!(pass(&mut passing, "[DONE]"), Ok((Passed::Done, Vec::new())));
        assert!(!passing.is_complete());
        pass(&mut passing, choice).unwrap();
        assert!(passing.is_complete());
    }

    #[test]
    fn id_and_model_are_news_once() {
        let mut passing = Passing::default();
        let chunk = r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}"#;
        assert_eq!(pass(&mut passing, chunk).unwrap().1.len(), 1);
        assert_eq!(pass(&mut passing, chunk).unwrap().1, []);
    }

    #[test]
    fn the_tier_is_told_once_of_streams_and_of_whole_answers() {
        let chunk = |tier: &str| format!(r#"{{"service_tier":{tier},"choices":[{{"delta":{{"content":"x"}}}}]}}"#);
        let mut passing = Passing::default();
        for (tier, told) in [("null", None), ("7", None), ("\"flex\"", Some("flex")), ("\"default\"", None)] {
            let (_, news) = pass(&mut passing, &chunk(tier)).unwrap();
            assert_eq!(news.first().and_then(|news| news.service_tier.as_deref()), told, "{tier}");
        }
        let facts = read_facts(br#"{"choices":[{}],"service_tier":"flex"}"#).unwrap();
        assert_eq!(facts.service_tier.as_deref(), Some("flex"));
    }

    #[test]
    fn both_of_two_choices_that_end_in_one_chunk_say_why() {
        let chunk = r#"{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"length"}]}"#;
        let (_, news) = pass(&mut Passing::default(), chunk).unwrap();
        let reasons: Vec<_> = news.into_iter().filter_map(|news| news.finish_reason).collect();
        assert_eq!(reasons, ["stop", "length"]);
    }

    #[test]
    fn usage_beside_a_choice_is_not_the_usage_chunk() {
        let chunk = r#"{"choices":[{"delta":{"content":"x"}}],"usage":null}"#;
        assert_eq!(passed(chunk), Passed::Chunk { content: true });
        let chunk = r#"{"choices":[],"usage":null,"prompt_filter_results":[]}"#;
        assert_eq!(passed(chunk), Passed::Chunk { content: false });
    }

    #[test]
    fn odd_members_are_passed_over_and_other_texts_refused() {
        for odd in [r#"{"id":7,"model":[],"choices":{},"usage":"x"}"#, r#"{"id":"a","id":"b"}"#, "{}"] {
            let read = pass(&mut Passing::default(), odd);
            assert_eq!(read, Ok((Passed::Chunk { content: false }, Vec::new())), "{odd}");
        }
        let odd = r#"{"id":7,"model":[],"choices":[{"finish_reason":7}],"usage":"x"}"#;
        assert_eq!(read_facts(odd.as_bytes()), Ok(AnswerFacts::default()));
        for no_answer in [r#"{"id":"a","choices":{}}"#, r#"{"id":"a","choices":[ ]}"#, "{}"] {
            assert!(read_facts(no_answer.as_bytes()).is_err(), "{no_answer}");
        }
        assert_eq!(passed(" "), Passed::Nothing);
        for other in ["[]", "[1,2,3,4]", "null", "{", "x", r#"{"a":}"#] {
            assert!(pass(&mut Passing::default(), other).is_err(), "{other}");
            assert!(read_facts(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_whole_answer_tells_its_facts() {
        let facts = read_facts(include_bytes!("../fixtures/openai/answer_tools.json")).unwrap();
        assert_eq!(facts.id.as_deref(), Some("chatcmpl-tools"));
        assert_eq!(facts.finish_reasons, ["tool_calls"]);
        assert_eq!(facts.usage.and_then(|usage| usage.cached_tokens), Some(64));
    }

    proptest! {
        #[test]
        fn reading_never_panics(json in "\\PC*") {
            let _ = pass(&mut Passing::default(), &json);
            let _ = read_facts(json.as_bytes());
        }
    }
}
