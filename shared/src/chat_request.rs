//! The few facts of a chat request that routing needs, borrowed from its body.
//!
//! Edge and backend read a body with this one function, so that neither accepts what the other refuses. Everything
//! else in the body is passed over, and stays as it is on its way to the provider.

use std::{borrow::Cow, marker::PhantomData};

use serde::Deserialize;

use crate::error_body::{ClientError, ErrorCode};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatFacts<'a> {
    /// The model asked for: a name of the catalogue, `provider/model`, or an alias.
    pub model: Cow<'a, str>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The usage of a stream is to be told in its last chunk.
    pub include_usage: bool,
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
    if nesting(body) > depth {
        let message = format!("The body is nested more than {depth} levels deep; flatten it.");
        return Err(ClientError::new(ErrorCode::InvalidJson, message));
    }
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
    Ok(ChatFacts {
        model,
        stream: wire.stream.unwrap_or(false),
        include_usage: wire.stream_options.and_then(|Object(options)| options.include_usage).unwrap_or(false),
    })
}

/// Deepest nesting of arrays and objects. Counts brackets outside strings, which is exact for valid JSON.
fn nesting(body: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in body {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(body: &str) -> (&'static str, Option<String>) {
        let error = read(body.as_bytes(), 64).unwrap_err();
        (error.code.as_str(), error.param)
    }

    #[test]
    fn facts_are_borrowed_from_the_body() {
        let body = r#"{"model":"goblin-demo","messages":[{"role":"user","content":"hi"}],"stream":true,"x":{"y":[]}}"#;
        let facts = read(body.as_bytes(), 64).unwrap();
        assert!(matches!(facts.model, Cow::Borrowed("goblin-demo")));
        assert!(facts.stream && !facts.include_usage);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(code(r#"{"messages":[{}]}"#), ("invalid_field", Some("model".into())));
        assert_eq!(code(r#"{"model":"","messages":[{}]}"#), ("invalid_field", Some("model".into())));
        assert_eq!(code(r#"{"model":"m"}"#), ("invalid_field", Some("messages".into())));
        assert_eq!(code(r#"{"model":"m","messages":[]}"#), ("invalid_field", Some("messages".into())));
    }

    #[test]
    fn wrong_types_and_broken_json_are_told_apart() {
        assert_eq!(code(r#"{"model":7,"messages":[{}]}"#).0, "invalid_field");
        assert_eq!(code(r#"{"model":"m","messages":[{}],"stream":"yes"}"#).0, "invalid_field");
        for broken in ["", "{", "{}x", "\u{feff}{}", r#"{"model":"m""#] {
            assert_eq!(code(broken).0, "invalid_json", "{broken}");
        }
        for array in [r#"["auto",false,null,[{}]]"#, r#"{"model":"m","messages":[{}],"stream_options":[]}"#] {
            assert_eq!(code(array).0, "invalid_field", "{array}");
        }
    }

    #[test]
    fn messages_never_repeat_the_body() {
        let error = read(br#"{"model":"m","messages":"my secret prompt"}"#, 64).unwrap_err();
        assert!(!error.message.contains("secret"), "{}", error.message);
    }

    #[test]
    fn depth_is_exact_and_brackets_in_strings_do_not_count() {
        let nested = |levels: usize| {
            format!(r#"{{"model":"m","messages":[{{}}],"x":{}"[\"]["{}}}"#, "[".repeat(levels), "]".repeat(levels))
        };
        assert!(read(nested(63).as_bytes(), 64).is_ok());
        assert_eq!(code(&nested(64)).0, "invalid_json");
        assert_eq!(code(&"[".repeat(1_000_000)).0, "invalid_json");
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, 64);
        }
    }
}
