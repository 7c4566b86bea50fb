//! The facts of a chat request that routing needs, borrowed from its body.
//!
//! Edge and backend read a body with this one function, so that neither accepts what the other refuses. Everything
//! else in the body is passed over, and stays as it is on its way to the provider.

mod estimate;
mod scan;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, marker::PhantomData};

use serde::Deserialize;

use self::scan::scan;
use crate::{
    catalogue::Capabilities,
    error_body::{ClientError, ErrorCode},
};

/// Longest key of a conversation that is taken, in bytes.
const STICKY_BYTES: usize = 512;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatFacts<'a> {
    /// The model asked for: a name of the catalogue, `provider/model`, or an alias.
    pub model: Cow<'a, str>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The usage of a stream is to be told in its last chunk.
    pub include_usage: bool,
    /// How long the prompt is, about, in tokens: the rule stands in `chat_request/estimate.rs`.
    pub prompt_tokens: u32,
    /// The longest answer that is wanted, in tokens: `max_completion_tokens`, or else `max_tokens`, where it is a whole
    /// number.
    pub output_tokens: Option<u32>,
    /// What the model must be able to do: to call tools where `tools` or `functions` has an element, to see where a
    /// part of a message is an image, to keep to a schema where that is the `response_format`, to reason where
    /// `reasoning_effort` or `reasoning` asks for it.
    pub needs: Capabilities,
    /// What tells the conversation from others: `conversation_id`, or else `prompt_cache_key`, or else `user`, where it
    /// is a text of 1 to 512 bytes. As it is written in the body, escapes and all.
    pub sticky: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<Object<StreamOptions>>,
    #[serde(default)]
    messages: Option<AtLeastOne>,
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

/// Whether a list has a first member; the members themselves are passed over.
struct AtLeastOne(bool);

impl<'de> Deserialize<'de> for AtLeastOne {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = AtLeastOne;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of messages")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut any = false;
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    any = true;
                }
                Ok(AtLeastOne(any))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

/// Reads the facts; the error is what the client is told.
///
/// `depth` is the deepest nesting that is taken, see [`crate::limits::JSON_DEPTH`].
pub fn read(body: &[u8], depth: usize) -> Result<ChatFacts<'_>, ClientError> {
    let scan = scan(body, depth).ok_or_else(|| {
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
    if !wire.messages.is_some_and(|AtLeastOne(any)| any) {
        return Err(field("messages", "`messages` must be an array with at least one message."));
    }
    let sticky = [scan.conversation_id, scan.prompt_cache_key, scan.user];
    let sticky = sticky.into_iter().find(|key| (1..=STICKY_BYTES).contains(&key.len()));
    Ok(ChatFacts {
        model,
        stream: wire.stream.unwrap_or(false),
        include_usage: wire.stream_options.and_then(|Object(options)| options.include_usage).unwrap_or(false),
        prompt_tokens: scan.prompt.tokens(),
        output_tokens: scan.max_completion_tokens.or(scan.max_tokens),
        needs: scan.needs,
        sticky: sticky.and_then(|key| str::from_utf8(key).ok()),
    })
}
