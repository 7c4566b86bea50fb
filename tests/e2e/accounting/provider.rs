//! The provider behind these tests: it works, streams word by word, holds and fails when it is told to, and remembers
//! the trace of every call, by which its row in the ledger is known.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use goblin_tests::upstream::{Release, Scenario, Script, Upstream};
use serde_json::{Value, json};
use tokio::sync::watch;

/// In a prompt: the call waits until all are released.
pub(crate) const HOLD: &str = "hold this";

/// In a prompt: the call fails.
pub(crate) const FAIL: &str = "fail this";

/// In a prompt: the answer repeats the prompt wherever a provider has a word of its own, and is of a tier without a price.
pub(crate) const QUOTE: &str = "quote this";

/// Tokens that every answer reports, prompt and completion: in one piece as the upstream of the tests counts, and in a
/// stream alike.
pub(crate) const PROMPT_TOKENS: u64 = 3;
pub(crate) const COMPLETION_TOKENS: u64 = 4;

/// Words of a stream, and the time before each: long enough that something can happen in mid-stream.
const WORDS: u32 = 6;
const WORD_INTERVAL: Duration = Duration::from_millis(2);

/// A running one; ends when dropped.
pub(crate) struct Provider {
    upstream: Upstream,
    scenario: Scenario,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    traces: Mutex<Vec<String>>,
    held: Mutex<Vec<Release>>,
    count: watch::Sender<usize>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let upstream = Upstream::start().await.unwrap();
        let calls = Arc::<Calls>::default();
        let answering = calls.clone();
        let scenario = upstream.script(Script::chosen(move |request| {
            let traceparent = request.header("traceparent").unwrap_or_default();
            answering.begin(traceparent.get(3..35).unwrap_or_default());
            let body = String::from_utf8_lossy(&request.body);
            // What is said last decides: a conversation brings what was said before along.
            let last = request.json()["messages"].as_array().and_then(|messages| messages.last().cloned());
            let last = last.unwrap_or_default().to_string();
            if last.contains(FAIL) {
                // Real ones quote, too.
                return Script::error(500, &format!("failed as it was told to by {last}"), &[]);
            }
            if last.contains(QUOTE) {
                return quoting(&last, body.contains(r#""stream":true"#));
            }
            let answer = if body.contains(r#""stream":true"#) { words() } else { Script::Friendly };
            if last.contains(HOLD) { answering.hold(answer) } else { answer }
        }));
        Self { upstream, scenario, calls }
    }

    /// What a client of OpenAI calls its base URL.
    pub(crate) fn base_url(&self) -> String {
        self.upstream.base_url()
    }

    /// A chat request that it answers, which says `text`, with `more` fields.
    pub(crate) fn ask(&self, text: &str, more: Value) -> Value {
        self.scenario.ask("gpt-4o-mini", text, more)
    }

    /// Calls so far.
    pub(crate) fn count(&self) -> usize {
        *self.calls.count.borrow()
    }

    /// Waits for so many.
    pub(crate) async fn counted(&self, least: usize) {
        let _ = self.calls.count.subscribe().wait_for(|count| *count >= least).await;
    }

    /// The trace of each call, 32 hexadecimal digits.
    pub(crate) fn traces(&self) -> Vec<String> {
        lock(&self.calls.traces).clone()
    }

    /// Calls that are held.
    pub(crate) fn held(&self) -> usize {
        lock(&self.calls.held).len()
    }

    /// Lets all go on that are held.
    pub(crate) fn release(&self) {
        lock(&self.calls.held).clear();
    }
}

impl Calls {
    fn begin(&self, trace: &str) {
        lock(&self.traces).push(trace.to_owned());
        self.count.send_modify(|count| *count += 1);
    }

    fn hold(&self, then: Script) -> Script {
        let (script, release) = Script::held(then);
        lock(&self.held).push(release);
        script
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer that says nothing but what it was told.
fn quoting(said: &str, is_stream: bool) -> Script {
    let usage = json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS});
    let object = if is_stream { "chat.completion.chunk" } else { "chat.completion" };
    let message = if is_stream { "delta" } else { "message" };
    let answer = json!({
        "id": said, "object": object, "created": 1, "model": said, "system_fingerprint": said, "usage": usage,
        "service_tier": "priority",
        "choices": [{"index": 0, message: {"role": "assistant", "content": said}, "finish_reason": said}],
    });
    if is_stream { Script::Stream(vec![answer]) } else { Script::Json(answer) }
}

/// A stream that takes its time, with usage at its end.
fn words() -> Script {
    let (script, steps) = Script::lock_step();
    tokio::spawn(async move {
        for _ in 0..WORDS {
            steps.text("word ");
            tokio::time::sleep(WORD_INTERVAL).await;
        }
        let chunk = |choices: Value, usage: Value| {
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "upstream", "choices": choices,
                "usage": usage})
        };
        steps.chunk(&chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), Value::Null));
        let total = PROMPT_TOKENS + COMPLETION_TOKENS;
        let usage =
            json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": total});
        steps.chunk(&chunk(json!([]), usage));
        steps.done();
    });
    script
}
