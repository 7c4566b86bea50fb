//! What is read from an answer while it passes: enough for spans, accounts and the rules of streaming.
//!
//! Members that have an unexpected type are passed over: an answer that its client can use must not fail on a detail
//! that only we look at.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Usage;
use crate::{
    ports::{AnswerFacts, Learnt},
    wire::{
        Passed, Unreadable,
        lenient::{lenient, text},
        sse,
    },
};

/// An event of a stream. What is not needed of it is borrowed, and not read.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// A message, or what is news of one.
#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// A block that begins.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// What is read of an answer that passes as it is.
pub(crate) fn read_facts(body: &[u8]) -> Result<AnswerFacts, Unreadable> {
    const NO_OBJECT: Unreadable = Unreadable("the answer is not a JSON object");
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NO_OBJECT);
    }
    let message = match serde_json::from_slice::<Message<'_>>(body) {
        Ok(message) if message.content.is_some_and(|content| content.get().starts_with('[')) => message,
        Ok(_) => return Err(Unreadable("the answer has no content")),
        // Valid JSON may name a member twice: then nothing is learnt, and no harm done.
        Err(_) if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() => Message::default(),
        Err(_) => return Err(NO_OBJECT),
    };
    Ok(AnswerFacts {
        id: text(message.id),
        model: text(message.model),
        finish_reasons: text(message.stop_reason).into_iter().collect(),
        usage: lenient::<Usage>(message.usage).map(Into::into),
        service_tier: service_tier(message.usage),
    })
}

/// The member `service_tier` of a usage: `standard`, `priority` or `batch`.
fn service_tier(usage: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Tier<'a> {
        #[serde(borrow, default)]
        service_tier: Option<&'a RawValue>,
    }
    text(lenient::<Tier<'_>>(usage)?.service_tier)
}

/// What is read of a stream that passes as it is.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    usage: Usage,
    begun: bool,
    stopped: bool,
}

impl Passing {
    /// Reads one event: what is news in it, and what is to be done with it.
    pub(crate) fn read(&mut self, event: &sse::Event, news: &mut Vec<Learnt>) -> Result<Passed, Unreadable> {
        if event.data.trim().is_empty() {
            return Ok(Passed::Nothing);
        }
        let event: Event<'_> =
            serde_json::from_str(&event.data).map_err(|_| Unreadable("an event of the stream has no type"))?;
        Ok(match &*event.kind {
            "content_block_delta" => Passed::Chunk { content: true },
            "content_block_start" => {
                let block: Option<Block<'_>> = lenient(event.content_block);
                // Of the other blocks a reader sees nothing yet.
                let content = block.is_some_and(|block| !matches!(&*block.kind, "text" | "thinking"));
                Passed::Chunk { content }
            }
            "message_start" => {
                self.begun = true;
                let message: Message<'_> = lenient(event.message).unwrap_or_default();
                self.learn(&message, message.usage, news);
                Passed::Chunk { content: false }
            }
            "message_delta" => {
                let message: Message<'_> = lenient(event.delta).unwrap_or_default();
                self.learn(&message, event.usage, news);
                Passed::Chunk { content: false }
            }
            "message_stop" => {
                self.stopped = true;
                Passed::LastChunk
            }
            _ => Passed::Chunk { content: false },
        })
    }

    /// The stream has ended, by its own word or with the body: whether the answer is complete, or was cut. Clients wait
    /// for `message_stop`, whatever else was told before.
    pub(crate) fn is_complete(&self) -> bool {
        self.begun && self.stopped
    }

    fn learn(&mut self, message: &Message<'_>, usage: Option<&RawValue>, news: &mut Vec<Learnt>) {
        let service_tier = service_tier(usage);
        let usage = lenient::<Usage>(usage).map(|usage| {
            self.usage.update(usage);
            self.usage.into()
        });
        let learnt = Learnt {
            id: text(message.id),
            model: text(message.model),
            finish_reason: text(message.stop_reason),
            usage,
            service_tier,
        };
        if learnt != Learnt::default() {
            news.push(learnt);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ports;

    fn pass(passing: &mut Passing, data: &str) -> Result<(Passed, Vec<Learnt>), Unreadable> {
        let mut news = Vec::new();
        let passed = passing.read(&sse::Event { data: data.to_owned(), ..sse::Event::default() }, &mut news)?;
        Ok((passed, news))
    }

    #[test]
    fn facts_are_put_together() {
        let mut parser = sse::Parser::default();
        let mut events: Vec<sse::Event> = Vec::new();
        parser.push(include_bytes!("../fixtures/anthropic/tools.sse"), &mut events).unwrap();
        events.extend(parser.finish());
        let mut passing = Passing::default();
        let mut facts = AnswerFacts::default();
        let mut passed = Vec::new();
        for event in &events {
            assert!(!passing.is_complete());
            let (what, news) = pass(&mut passing, &event.data).unwrap();
            passed.push(what);
            for news in news {
                facts.learn(news);
            }
        }
        assert!(passing.is_complete());
        assert_eq!(passed.last(), Some(&Passed::LastChunk));
        assert_eq!(passed.iter().position(|passed| *passed == Passed::Chunk { content: true }), Some(2));
        assert_eq!(facts.id.as_deref(), Some("msg_tools"));
        assert_eq!(facts.finish_reasons, ["tool_use"]);
        let usage = ports::Usage {
            prompt_tokens: 110,
            completion_tokens: 40,
            cached_tokens: Some(64),
            cache_write_tokens: Some(36),
            reasoning_tokens: None,
        };
        assert_eq!(facts.usage, Some(usage));
    }

    #[test]
    fn the_tier_is_a_part_of_usage() {
        for (usage, tier) in [
            (r#"{"input_tokens":1,"service_tier":"batch"}"#, Some("batch")),
            (r#"{"input_tokens":1,"service_tier":7}"#, None),
            ("{}", None),
            ("7", None),
        ] {
            let start = format!(r#"{{"type":"message_start","message":{{"id":"a","usage":{usage}}}}}"#);
            let (_, news) = pass(&mut Passing::default(), &start).unwrap();
            assert_eq!(news[0].service_tier.as_deref(), tier, "{usage}");
            let whole = read_facts(format!(r#"{{"content":[],"usage":{usage}}}"#).as_bytes()).unwrap();
            assert_eq!(whole.service_tier.as_deref(), tier, "{usage}");
        }
    }

    #[test]
    fn an_end_without_a_beginning_is_none() {
        let mut passing = Passing::default();
        assert_eq!(pass(&mut passing, r#"{"type":"message_stop"}"#), Ok((Passed::LastChunk, Vec::new())));
        assert!(!passing.is_complete());
    }

    #[test]
    fn pings_and_new_events_are_no_content() {
        for data in [r#"{"type":"ping"}"#, r#"{"type":"brand_new","delta":7}"#] {
            assert_eq!(
                pass(&mut Passing::default(), data),
                Ok((Passed::Chunk { content: false }, Vec::new())),
                "{data}"
            );
        }
        assert_eq!(pass(&mut Passing::default(), " "), Ok((Passed::Nothing, Vec::new())));
        for data in ["{}", "[]", "x", r#"{"type":7}"#] {
            assert!(pass(&mut Passing::default(), data).is_err(), "{data}");
        }
    }

    #[test]
    fn a_whole_answer_tells_its_facts() {
        let facts = read_facts(include_bytes!("../fixtures/anthropic/answer_thinking.json")).unwrap();
        assert_eq!(facts.id.as_deref(), Some("msg_thinking"));
        assert_eq!(facts.finish_reasons, ["end_turn"]);
        assert_eq!(facts.usage.map(|usage| usage.prompt_tokens), Some(42));
        assert_eq!(read_facts(br#"{"id":"a","id":"b"}"#), Ok(AnswerFacts::default()));
        for other in ["[]", "", "null", "{"] {
            assert!(read_facts(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(json in "\\PC*") {
            let _ = pass(&mut Passing::default(), &json);
            let _ = read_facts(json.as_bytes());
        }
    }
}
