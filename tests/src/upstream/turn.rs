//! What a friendly provider says to a conversation, before it is put into a family's words.

use serde_json::{Value, json};

use super::sample;

/// What a provider that works says when nothing else was asked for, token by token.
const TEXT: [&str; 4] = ["Hello", " from", " the", " upstream"];

/// What it says that it thought, when it was asked to think.
pub(super) const THOUGHT: &str = "The goblin wants to be greeted.";

/// What makes a thought its own, as Anthropic and Gemini demand it back.
pub(super) const SIGNATURE: &str = "c2lnbmVkLWJ5LXRoZS11cHN0cmVhbQ==";

/// A conversation as the answer depends on it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Turn {
    /// The model as the request names it.
    pub(super) model: String,
    /// Text of the last message that the user wrote.
    pub(super) user_text: String,
    /// Tools that may be called, with the JSON schema of their arguments.
    pub(super) tools: Vec<(String, Value)>,
    /// Whether a tool has to be called.
    pub(super) must_call: bool,
    /// Results of tools with which the conversation ends.
    pub(super) results: Vec<String>,
    /// The JSON schema that the answer has to fit.
    pub(super) schema: Option<Value>,
    /// Most tokens of the answer.
    pub(super) max_tokens: Option<u64>,
    /// Texts at which the answer ends.
    pub(super) stop: Vec<String>,
    /// Whether the answer shows its reasoning.
    pub(super) thinks: bool,
    /// Whether the answer is a stream.
    pub(super) streams: bool,
}

/// What is answered.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) model: String,
    pub(super) thought: Option<&'static str>,
    pub(super) said: Said,
    pub(super) stop: Stop,
    pub(super) usage: Usage,
}

/// Text, token by token, or calls of tools.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Text(Vec<String>),
    Calls(Vec<ToolCall>),
}

/// A call of a tool.
#[derive(Debug, PartialEq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// Why it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is left to say.
    End,
    /// This text would have come next.
    Sequence(String),
    /// More tokens were not allowed.
    Length,
    /// It waits for tools.
    Calls,
    /// A filter held the answer back.
    Filtered,
}

/// Tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// All that were read, the two below included.
    pub(super) input: usize,
    /// Read from a cache.
    pub(super) cached: usize,
    /// Written into a cache, which only Anthropic tells.
    pub(super) cache_written: usize,
    /// All that were written, those of the reasoning included.
    pub(super) output: usize,
    /// Those of the reasoning.
    pub(super) reasoning: usize,
}

impl Turn {
    /// What a provider that works answers. `use the tool` in the user's text makes it call the first tool, `use both`
    /// the first two (or the only one twice), `be filtered` makes it withhold the answer, and `cached` tells of tokens
    /// from a cache. A result of a tool is quoted.
    pub(super) fn reply(&self) -> Reply {
        let (said, stop) = self.said();
        let thought = self.thinks.then_some(THOUGHT);
        let reasoning = if self.thinks { 6 } else { 0 };
        let output = reasoning
            + match &said {
                Said::Text(tokens) => tokens.len(),
                Said::Calls(calls) => 10 * calls.len(),
            };
        let (input, cached, cache_written) = if self.user_text.contains("cached") { (12, 5, 2) } else { (3, 0, 0) };
        let usage = Usage { input, cached, cache_written, output, reasoning };
        Reply { model: self.model.clone(), thought, said, stop, usage }
    }

    fn said(&self) -> (Said, Stop) {
        let calls = self.calls();
        if !calls.is_empty() {
            return (Said::Calls(calls), Stop::Calls);
        }
        if self.user_text.contains("be filtered") {
            return (Said::Text(Vec::new()), Stop::Filtered);
        }
        let mut tokens: Vec<String> = if !self.results.is_empty() {
            vec!["The tool said: ".to_owned(), self.results.join("; ")]
        } else if let Some(schema) = &self.schema {
            // In two parts, neither of which is JSON.
            let text = sample::of(schema).to_string();
            let (head, tail) = text.split_at(1);
            vec![head.to_owned(), tail.to_owned()]
        } else {
            TEXT.map(str::to_owned).to_vec()
        };
        let whole = tokens.concat();
        if let Some((at, stop)) = self.stop.iter().filter_map(|stop| Some((whole.find(stop)?, stop))).min() {
            return (Said::Text(vec![whole[..at].to_owned()]), Stop::Sequence(stop.clone()));
        }
        let most = self.max_tokens.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        if tokens.len() > most {
            tokens.truncate(most);
            return (Said::Text(tokens), Stop::Length);
        }
        (Said::Text(tokens), Stop::End)
    }

    fn calls(&self) -> Vec<ToolCall> {
        let both = self.user_text.contains("use both");
        let wanted = both || self.must_call || self.user_text.contains("use the tool");
        if !wanted || !self.results.is_empty() {
            return Vec::new();
        }
        let count = if both { 2 } else { 1 };
        let call = |(name, schema): &(String, Value)| ToolCall { name: name.clone(), arguments: sample::of(schema) };
        self.tools.iter().cycle().take(if self.tools.is_empty() { 0 } else { count }).map(call).collect()
    }
}

impl ToolCall {
    /// The arguments as text in two parts, neither of which is JSON.
    pub(super) fn argument_parts(&self) -> [String; 2] {
        let text = self.arguments.to_string();
        let (head, tail) = text.split_at(1);
        [head.to_owned(), tail.to_owned()]
    }
}

impl Said {
    /// All of its text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(tokens) => tokens.concat(),
            Self::Calls(_) => String::new(),
        }
    }
}

/// The schema of a tool that declares none.
pub(super) fn no_arguments() -> Value {
    json!({"type": "object", "properties": {}})
}
