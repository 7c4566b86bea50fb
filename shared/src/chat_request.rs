//! The facts of a request that routing needs, borrowed from its body.
//!
//! Edge and backend read a body with this one function, so that neither accepts what the other refuses. Everything
//! else in the body is passed over, and stays as it is on its way to the provider. Which members count depends on the
//! API: what another vendor calls by a name means nothing here.

mod estimate;
mod scan;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, marker::PhantomData};

use serde::{Deserialize, de::IgnoredAny};

pub use self::estimate::Estimate;
use self::scan::{Content, Conversation, scan, scan_messages};
use crate::{
    api::Api,
    catalogue::Capabilities,
    conversation,
    error_body::{ClientError, ErrorCode},
};

/// Longest key of a conversation that is taken, in bytes.
const STICKY_BYTES: usize = 512;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatFacts<'a> {
    /// What was called, and so how the body is to be understood.
    pub api: Api,
    /// The model asked for: a name of the catalogue, `provider/model`, or an alias.
    pub model: Cow<'a, str>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The usage of a stream is to be told in its last chunk; always so in Anthropic's streams.
    pub include_usage: bool,
    /// How long the prompt is, about, in tokens: the rule stands in `chat_request/estimate.rs`. Of embeddings, all inputs
    /// together.
    pub prompt_tokens: u32,
    /// How much of it a model must take at once, in tokens: all of it, or of embeddings the longest input.
    pub longest_input_tokens: u32,
    /// The longest answer that is wanted, in tokens: `max_completion_tokens`, or else `max_tokens`, where it is a whole
    /// number. Of messages always there; of embeddings never.
    pub output_tokens: Option<u32>,
    /// How many answers are wanted: `n` of chat completions, where it is a whole number; at least 1.
    pub choices: u32,
    /// What the model must be able to do: to call tools where `tools` or `functions` has an element, to see where a
    /// part of a message is an image, to keep to a schema where that is the `response_format`, to reason where
    /// `reasoning_effort` or `reasoning` asks for it. Of messages, the schema is in `output_config.format` or
    /// `output_format`, and `thinking` that is `enabled` or `adaptive` asks for reasoning.
    pub needs: Capabilities,
    /// What tells the conversation from others: `conversation_id`, or else `prompt_cache_key`, or else `user`, where it
    /// is a text of 1 to 512 bytes; of messages `metadata.user_id`, of embeddings `user`. As it is written in the body,
    /// escapes and all.
    pub sticky: Option<&'a str>,
    /// How it is to be processed: `service_tier`, where it is a text, as it is written in the body.
    pub service_tier: Option<&'a str>,
    /// The conversation that the request goes on with: an id in form. Only of chat completions.
    ///
    /// What was said in it so far is no part of the body, and of no number here. Plans made of these facts alone may
    /// therefore name models whose window is too small; the backend, which knows the conversation, leaves them out.
    pub conversation_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<Object<StreamOptions>>,
    /// These are looked into by the scan; here only so that each is there once.
    #[serde(default, rename = "messages")]
    _messages: Option<IgnoredAny>,
    #[serde(default, rename = "input")]
    _input: Option<IgnoredAny>,
    #[serde(default, rename = "conversation_id")]
    _conversation_id: Option<IgnoredAny>,
    #[serde(default, rename = "service_tier")]
    _service_tier: Option<IgnoredAny>,
}

/// An `Option<Cow<str>>` would be copied; behind a newtype serde borrows it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// An object and nothing else: the derived readers of structs also take arrays, member by member.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

/// Reads the facts; the error is what the client is told.
///
/// `depth` is the deepest nesting that is taken, see [`crate::limits::JSON_DEPTH`]; `api` is what was called.
pub fn read(body: &[u8], depth: usize, api: Api) -> Result<ChatFacts<'_>, ClientError> {
    let scan = scan(body, depth, api).ok_or_else(|| {
        let message = format!("The body is nested more than {depth} levels deep; flatten it.");
        ClientError::new(ErrorCode::InvalidJson, message)
    })?;
    let Object(wire): Object<Wire<'_>> = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        if error.is_data() {
            // Serde's text may repeat the value, which may be anything; the place is enough.
            ClientError::new(ErrorCode::InvalidField, format!("A field has a value of the wrong type at {place}."))
        } else {
            ClientError::new(ErrorCode::InvalidJson, format!("The body is not valid JSON: see {place}."))
        }
    })?;
    let field = |param: &str, message: &str| ClientError::new(ErrorCode::InvalidField, message).with_param(param);
    let model = wire.model.map(|Text(model)| model).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| field("model", "Name a model in `model`; GET /v1/models lists them."))?;
    let output_tokens = scan.max_completion_tokens.or(scan.max_tokens);
    match api {
        Api::ChatCompletions | Api::Messages if scan.content != Content::List => {
            return Err(field("messages", "`messages` must be an array with at least one message."));
        }
        Api::Messages if output_tokens.is_none_or(|tokens| tokens == 0) => {
            let message = "Say in `max_tokens` how long the answer may be, as a whole number of tokens from 1.";
            return Err(field("max_tokens", message));
        }
        Api::Embeddings if scan.content == Content::Other => {
            return Err(field("input", "`input` must be a text or an array, and not be empty."));
        }
        Api::Embeddings if wire.stream == Some(true) => {
            return Err(field("stream", "Embeddings are not streamed; leave `stream` out."));
        }
        Api::ChatCompletions | Api::Messages | Api::Embeddings => {}
    }
    let conversation_id = conversation(api, scan.conversation_id)?;
    let sticky = [conversation_id.map_or(&b""[..], str::as_bytes), scan.prompt_cache_key, scan.user];
    let sticky = sticky.into_iter().find(|key| (1..=STICKY_BYTES).contains(&key.len()));
    let asks_usage = wire.stream_options.and_then(|Object(options)| options.include_usage).unwrap_or(false);
    let prompt_tokens = scan.prompt.tokens();
    Ok(ChatFacts {
        api,
        model,
        stream: wire.stream.unwrap_or(false),
        include_usage: api == Api::Messages || asks_usage,
        prompt_tokens,
        longest_input_tokens: if api == Api::Embeddings { scan.longest_input.tokens() } else { prompt_tokens },
        output_tokens,
        choices: scan.choices.unwrap_or(1).max(1),
        needs: scan.needs,
        sticky: sticky.and_then(|key| str::from_utf8(key).ok()),
        service_tier: Some(scan.service_tier)
            .filter(|tier| !tier.is_empty())
            .and_then(|tier| str::from_utf8(tier).ok()),
        conversation_id,
    })
}

/// How many tokens a JSON array of messages has as a part of a prompt, about, by the same rule as
/// [`ChatFacts::prompt_tokens`].
#[must_use]
pub fn messages_tokens(messages: &[u8]) -> u32 {
    scan_messages(messages).prompt.tokens()
}

/// The conversation that a request goes on with.
fn conversation(api: Api, found: Conversation<'_>) -> Result<Option<&str>, ClientError> {
    let field = |message: &str| Err(ClientError::new(ErrorCode::InvalidField, message).with_param("conversation_id"));
    let text = match found {
        Conversation::None => return Ok(None),
        Conversation::Text(text) => str::from_utf8(text).unwrap_or_default(),
        Conversation::Other => "",
    };
    if api != Api::ChatCompletions {
        return field("Conversations go on with POST /v1/chat/completions alone; leave `conversation_id` out here.");
    }
    if !conversation::is_id(text) {
        return field(
            "`conversation_id` must be the id of a conversation, `conv_` and 24 letters or digits, as \
             POST /v1/conversations gives it; to keep requests together without one, use `prompt_cache_key`.",
        );
    }
    Ok(Some(text))
}
