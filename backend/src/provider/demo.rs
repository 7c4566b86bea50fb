//! The demo provider: answers without keys and without network, so that everything around it can be tried.
//!
//! What it says is made of the prompt alone, so that the same question has the same answer. A token is a word.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ports::{Answer, AnswerStream, Call, Clock, Provider, ProviderError, Remote, StreamEvent};

/// Words of the question that are repeated.
const ECHOED_WORDS: usize = 12;

/// Answers by itself.
pub(crate) struct Demo {
    clock: Arc<dyn Clock>,
    token_interval: Duration,
    models: BTreeSet<String>,
}

impl Demo {
    /// `token_interval` is the pause before each token.
    pub(crate) fn new(clock: Arc<dyn Clock>, token_interval: Duration, models: BTreeSet<String>) -> Self {
        Self { clock, token_interval, models }
    }

    /// One pause. None at all if there is to be none: the shortest sleep takes a millisecond.
    async fn pause(interval: Duration) {
        if !interval.is_zero() {
            tokio::time::sleep(interval).await;
        }
    }
}

#[async_trait]
impl Provider for Demo {
    fn remote(&self) -> Option<&Remote> {
        None
    }

    fn offers(&self, model: &str) -> bool {
        self.models.contains(model)
    }

    async fn complete(&self, call: Call) -> Result<Answer, ProviderError> {
        let script = Script::new(&call, self.clock.unix_seconds());
        for _ in &script.tokens {
            Self::pause(self.token_interval).await;
        }
        Ok(Answer { body: script.whole().to_string().into(), status: None })
    }

    fn stream(&self, call: Call) -> AnswerStream {
        let script = Script::new(&call, self.clock.unix_seconds());
        let interval = self.token_interval;
        let events = async_stream::stream! {
            yield Ok(StreamEvent::Opened(None));
            yield Ok(script.chunk(&json!({ "role": "assistant", "content": "" }), None));
            for token in &script.tokens {
                Self::pause(interval).await;
                yield Ok(script.chunk(&json!({ "content": token }), None));
            }
            yield Ok(script.chunk(&json!({}), Some(script.finish_reason)));
            yield Ok(script.usage_chunk());
            yield Ok(StreamEvent::Done);
        };
        events.boxed()
    }
}

#[derive(Default, Deserialize)]
struct Question {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default)]
    max_completion_tokens: Option<usize>,
}

/// What will be said.
struct Script {
    id: String,
    created: u64,
    model: String,
    tokens: Vec<String>,
    prompt_tokens: usize,
    finish_reason: &'static str,
}

impl Script {
    fn new(call: &Call, created: u64) -> Self {
        // What is odd about a request is a matter for models; this is none.
        let question: Question = serde_json::from_slice(&call.body).unwrap_or_default();
        let texts: Vec<String> = question.messages.iter().map(text_of).collect();
        let is_user = |message: &&Value| message["role"] == "user";
        let asked = question.messages.iter().rfind(is_user).map(text_of).unwrap_or_default();
        let words: Vec<&str> = asked.split_whitespace().collect();
        let ellipsis = if words.len() > ECHOED_WORDS { " …" } else { "" };
        let echoed = words.iter().take(ECHOED_WORDS).copied().collect::<Vec<_>>().join(" ");
        let answer = format!(
            "This is the demo provider of Goblin Assistant; there is no model behind it. You said: \"{echoed}{ellipsis}\""
        );
        // A token keeps the space before its word, so that tokens put together are the answer.
        let mut tokens: Vec<String> = Vec::new();
        for (index, word) in answer.split(' ').enumerate() {
            tokens.push(if index == 0 { word.to_owned() } else { format!(" {word}") });
        }
        let limit = question.max_completion_tokens.or(question.max_tokens).unwrap_or(usize::MAX);
        let finish_reason = if tokens.len() > limit { "length" } else { "stop" };
        tokens.truncate(limit);
        Self {
            id: format!("chatcmpl-{}", call.request_id),
            created,
            model: call.model.clone(),
            tokens,
            prompt_tokens: texts.iter().map(|text| text.split_whitespace().count()).sum(),
            finish_reason,
        }
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens.len(),
            "total_tokens": self.prompt_tokens + self.tokens.len(),
        })
    }

    fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": self.tokens.concat(), "refusal": null },
                "logprobs": null,
                "finish_reason": self.finish_reason,
            }],
            "usage": self.usage(),
        })
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> StreamEvent {
        let choices = json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
        self.event(&choices, &Value::Null)
    }

    fn usage_chunk(&self) -> StreamEvent {
        self.event(&json!([]), &self.usage())
    }

    fn event(&self, choices: &Value, usage: &Value) -> StreamEvent {
        let chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        });
        StreamEvent::Chunk(chunk.to_string())
    }
}

/// The text of a message, be it one text or a list of parts.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use goblin_shared::request_id::RequestId;

    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn unix_millis(&self) -> u64 {
            1_800_000_000_000
        }
    }

    fn demo(token_interval: Duration) -> Demo {
        Demo::new(Arc::new(Fixed), token_interval, ["goblin-demo".to_owned()].into())
    }

    fn call(body: &Value) -> Call {
        Call {
            body: body.to_string().into(),
            model: "goblin-demo".to_owned(),
            request_id: RequestId::new(0, &[0; 10]),
            traceparent: None,
        }
    }

    fn hello() -> Value {
        json!({ "model": "goblin-demo", "messages": [{ "role": "system", "content": "be brief" },
            { "role": "user", "content": [{ "type": "text", "text": "Hello goblin" }] }] })
    }

    #[tokio::test(start_paused = true)]
    async fn streamed_and_whole_answers_say_the_same() {
        let demo = demo(Duration::from_millis(20));
        let whole: Value = serde_json::from_slice(&demo.complete(call(&hello())).await.unwrap().body).unwrap();
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.contains("demo provider") && text.ends_with("\"Hello goblin\""), "{text}");
        assert_eq!(whole["usage"]["prompt_tokens"], 4);
        assert_eq!(whole["created"], 1_800_000_000);

        let events: Vec<_> = demo.stream(call(&hello())).map(Result::unwrap).collect().await;
        assert_eq!(events.first(), Some(&StreamEvent::Opened(None)));
        assert_eq!(events.last(), Some(&StreamEvent::Done));
        let chunks: Vec<Value> = events
            .iter()
            .filter_map(|event| match event {
                StreamEvent::Chunk(data) => Some(serde_json::from_str(data).unwrap()),
                _ => None,
            })
            .collect();
        let streamed: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(streamed, text);
        assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
        assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_come_at_their_pace() {
        let start = tokio::time::Instant::now();
        let answer = demo(Duration::from_millis(20)).complete(call(&hello())).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let tokens = u32::try_from(answer["usage"]["completion_tokens"].as_u64().unwrap()).unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(20) * tokens);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_says_so() {
        for limit in ["max_tokens", "max_completion_tokens"] {
            let mut body = hello();
            body[limit] = json!(3);
            let answer = demo(Duration::ZERO).complete(call(&body)).await.unwrap();
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(answer["choices"][0]["finish_reason"], "length");
            assert_eq!(answer["choices"][0]["message"]["content"], "This is the");
            assert_eq!(answer["usage"]["completion_tokens"], 3);
        }
    }

    #[tokio::test]
    async fn long_questions_are_echoed_in_part_and_odd_ones_answered() {
        let long = json!({ "messages": [{ "role": "user", "content": "word ".repeat(40) }] });
        for (body, end) in [(long, "word …\""), (json!({ "messages": [1, {}] }), "\"\""), (json!([]), "\"\"")] {
            let answer = demo(Duration::ZERO).complete(call(&body)).await.unwrap();
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().ends_with(end), "{answer}");
        }
    }
}
