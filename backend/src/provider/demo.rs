//! The demo provider: answers without keys and without network, so that everything around it can be tried. It speaks
//! OpenAI's wire format.
//!
//! What it says is made of the prompt alone, so that the same question has the same answer. A token is a word.

mod embedding;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use goblin_shared::api::Api;
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::Operation;
use crate::{
    ports::{Call, Clock, Inexpressible, Prepared, ProviderError},
    wire::{openai, sse},
};

/// Words of the question that are repeated.
const ECHOED_WORDS: usize = 12;

/// Answers by itself.
pub(super) struct Demo {
    clock: Arc<dyn Clock>,
    token_interval: Duration,
}

impl Demo {
    /// `token_interval` is the pause before each token.
    pub(super) fn new(clock: Arc<dyn Clock>, token_interval: Duration) -> Self {
        Self { clock, token_interval }
    }

    /// A whole answer.
    pub(super) async fn whole(&self, operation: Operation, call: &Call) -> Result<Bytes, ProviderError> {
        if operation == Operation::Embed {
            return embedding::answer(&call.prepared);
        }
        let script = Script::new(call, self.clock.unix_seconds());
        for _ in &script.tokens {
            pause(self.token_interval).await;
        }
        Ok(script.whole().to_string().into())
    }

    /// An answer piece by piece.
    pub(super) fn events(&self, call: &Call) -> DemoEvents {
        let script = Script::new(call, self.clock.unix_seconds());
        let mut waiting = VecDeque::with_capacity(script.tokens.len() + 4);
        let mut say = |pause, data| waiting.push_back((pause, sse::Event { data, ..sse::Event::default() }));
        say(Duration::ZERO, script.chunk(&json!({ "role": "assistant", "content": "" }), None));
        for token in &script.tokens {
            say(self.token_interval, script.chunk(&json!({ "content": token }), None));
        }
        say(Duration::ZERO, script.chunk(&json!({}), Some(script.finish_reason)));
        say(Duration::ZERO, script.usage_chunk());
        say(Duration::ZERO, "[DONE]".to_owned());
        DemoEvents { waiting }
    }
}

/// The events of a stream, each with the pause before it.
pub(super) struct DemoEvents {
    waiting: VecDeque<(Duration, sse::Event)>,
}

impl DemoEvents {
    /// The next one.
    pub(super) async fn next(&mut self) -> Option<sse::Event> {
        let (interval, event) = self.waiting.pop_front()?;
        pause(interval).await;
        Some(event)
    }
}

/// One pause. None at all if there is to be none: the shortest sleep takes a millisecond.
async fn pause(interval: Duration) {
    if !interval.is_zero() {
        tokio::time::sleep(interval).await;
    }
}

/// Refuses what it would have to ignore: whoever tries a program with it is not to believe that a setting works.
pub(super) fn check(prepared: &Prepared) -> Result<(), Inexpressible> {
    if prepared.api == Api::Embeddings {
        return Ok(());
    }
    let request = openai::read_request(&prepared.body)?;
    let stop = if prepared.api == Api::Messages { "stop_sequences" } else { "stop" };
    let is_true = |value: Option<bool>| value == Some(true);
    let refused = [
        ("n", request.choices.is_some_and(|choices| choices > 1)),
        ("logprobs", is_true(request.logprobs)),
        (stop, !request.stop.is_empty()),
        ("response_format", request.format.is_some()),
        ("tools", !request.tools.is_empty()),
    ];
    match refused.into_iter().find(|(_, is_asked)| *is_asked) {
        None => Ok(()),
        Some((param, _)) => Err(Inexpressible {
            param: param.to_owned(),
            message: format!("`{param}` is nothing that the demo provider can do; leave it out, or ask a real model."),
        }),
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
        let question: Question = serde_json::from_slice(&call.prepared.body).unwrap_or_default();
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
            id: format!("chatcmpl-{}", call.prepared.request_id),
            created,
            model: call.prepared.upstream_model.clone(),
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

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> String {
        let choices = json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
        self.event(&choices, &Value::Null)
    }

    fn usage_chunk(&self) -> String {
        self.event(&json!([]), &self.usage())
    }

    fn event(&self, choices: &Value, usage: &Value) -> String {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        })
        .to_string()
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
    use goblin_shared::{api::Api, request_id::RequestId};

    use super::*;
    use crate::ports::{AnswerOptions, Prepared};

    struct Fixed;

    impl Clock for Fixed {
        fn unix_millis(&self) -> u64 {
            1_800_000_000_000
        }
    }

    fn demo(token_interval: Duration) -> Demo {
        Demo::new(Arc::new(Fixed), token_interval)
    }

    fn call(body: &Value) -> Call {
        Call {
            prepared: Prepared {
                api: Api::ChatCompletions,
                body: body.to_string().into(),
                upstream_model: "goblin-demo".to_owned(),
                include_usage: true,
                headers: Vec::new(),
                answer_options: AnswerOptions::default(),
                request_id: RequestId::new(0, &[0; 10]),
            },
            traceparent: None,
            onward: None,
        }
    }

    fn hello() -> Value {
        json!({ "model": "goblin-demo", "messages": [{ "role": "system", "content": "be brief" },
            { "role": "user", "content": [{ "type": "text", "text": "Hello goblin" }] }] })
    }

    async fn answer(token_interval: Duration, body: &Value) -> Value {
        let answer = demo(token_interval).whole(Operation::Chat, &call(body)).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn streamed_and_whole_answers_say_the_same() {
        let interval = Duration::from_millis(20);
        let whole = answer(interval, &hello()).await;
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.ends_with("You said: \"Hello goblin\""), "{text}");
        assert_eq!(whole["usage"]["prompt_tokens"], 4);

        let mut events = demo(interval).events(&call(&hello()));
        let mut chunks = Vec::new();
        while let Some(event) = events.next().await {
            chunks.push(event.data);
        }
        assert_eq!(chunks.pop().as_deref(), Some("[DONE]"));
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        let streamed: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(streamed, text);
        assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
        assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_come_at_their_pace() {
        let start = tokio::time::Instant::now();
        let answer = answer(Duration::from_millis(20), &hello()).await;
        let tokens = u32::try_from(answer["usage"]["completion_tokens"].as_u64().unwrap()).unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(20) * tokens);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_says_so() {
        for limit in ["max_tokens", "max_completion_tokens"] {
            let mut body = hello();
            body[limit] = json!(3);
            let answer = answer(Duration::ZERO, &body).await;
            assert_eq!(answer["choices"][0]["finish_reason"], "length");
            assert_eq!(answer["choices"][0]["message"]["content"], "This is the");
            assert_eq!(answer["usage"]["completion_tokens"], 3);
        }
    }

    #[tokio::test]
    async fn long_questions_are_echoed_in_part_and_odd_ones_answered() {
        let long = json!({ "messages": [{ "role": "user", "content": "word ".repeat(40) }] });
        for (body, end) in [(long, "word …\""), (json!({ "messages": [1, {}] }), "\"\""), (json!([]), "\"\"")] {
            let answer = answer(Duration::ZERO, &body).await;
            assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().ends_with(end), "{answer}");
        }
    }
}
