//! Requests read strictly: a member of the wrong type, or one that nobody knows, is named by its path.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        DeserializeOwned, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::{Map, Value};

use crate::ports::Inexpressible;

/// The members of an object that its type does not name.
pub(crate) type Rest = Map<String, Value>;

/// A text, or the longer way to say the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum TextOr<T> {
    /// The short way.
    Text(String),
    /// The long one: a list or an object.
    Other(T),
}

// Serde's own untagged reading tries one after the other, and forgets where the second one failed.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list or an object")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(list)).map(TextOr::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(TextOr::Other)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// Reads a request as its type says. The message of an error repeats no value of the request.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Inexpressible> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // `.` is the whole, `?` something that has no name yet.
        let path = path.trim_end_matches(['.', '?']);
        let text = error.inner().to_string();
        let quoted = |before: &str| text.split_once(before)?.1.split_once('`').map(|(name, _)| name.to_owned());
        if let Some(name) = quoted("missing field `") {
            refuse_named(at(path, &name), "is missing; add it.")
        } else if text.contains("unknown variant") {
            refuse_named(once(path, "type"), "is none of this API's; use one that it knows.")
        } else if let Some(name) = quoted("duplicate field `") {
            refuse_named(once(path, &name), "is there twice; leave one out.")
        } else {
            refuse_named(path, "has the wrong type; see the reference of the API.")
        }
    })
}

/// The path of a member, where the path may have it already.
fn once(path: &str, member: &str) -> String {
    let is_there = path == member || path.strip_suffix(member).is_some_and(|before| before.ends_with('.'));
    if is_there { path.to_owned() } else { at(path, member) }
}

/// Longest path that is told, in characters: names of members are the client's own.
const PATH_CHARS: usize = 200;

/// The error that refuses a member. The whole request has the path `body`.
pub(crate) fn refuse(path: impl Into<String>, message: impl Into<String>) -> Inexpressible {
    let mut param = Some(path.into()).filter(|path| !path.is_empty()).unwrap_or_else(|| "body".to_owned());
    if let Some((end, _)) = param.char_indices().nth(PATH_CHARS) {
        param.truncate(end);
    }
    Inexpressible { param, message: message.into() }
}

/// The same with a message that begins with the path.
fn refuse_named(path: impl Into<String>, message: &str) -> Inexpressible {
    let refusal = refuse(path, "");
    Inexpressible { message: format!("`{}` {message}", refusal.param), ..refusal }
}

/// The error that refuses a member which only the client's own format knows.
pub(crate) fn foreign(path: impl Into<String>) -> Inexpressible {
    refuse_named(
        path,
        "cannot be translated for this provider; leave it out, or choose a model whose provider speaks this API's own format.",
    )
}

/// The path of a member of the object at `path`.
pub(crate) fn at(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

/// Refuses the first member that no type names. `null` is the same as nothing.
pub(crate) fn no_rest(rest: &Rest, path: &str) -> Result<(), Inexpressible> {
    match rest.iter().find(|(_, value)| !value.is_null()) {
        Some((member, _)) => Err(foreign(at(path, member))),
        None => Ok(()),
    }
}

/// Refuses a member that is there.
pub(crate) fn absent<T>(member: Option<&T>, path: &str, name: &str) -> Result<(), Inexpressible> {
    if member.is_some() { Err(foreign(at(path, name))) } else { Ok(()) }
}

/// Gives a member that must be there.
pub(crate) fn needed<T>(member: Option<T>, path: &str, name: &str) -> Result<T, Inexpressible> {
    member.ok_or_else(|| refuse_named(at(path, name), "is missing; add it."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        list: Option<TextOr<Vec<Inner>>>,
        number: Option<u64>,
        #[serde(flatten)]
        rest: Rest,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        name: String,
    }

    #[test]
    fn what_cannot_be_translated_is_named_in_a_bounded_sentence() {
        let refusal = foreign("logprobs");
        assert_eq!(refusal.param, "logprobs");
        assert!(refusal.message.starts_with("`logprobs` cannot be translated"), "{}", refusal.message);
        let refusal = foreign("x".repeat(5_000));
        assert_eq!(refusal.param.len(), PATH_CHARS);
        assert!(refusal.message.len() < 2 * PATH_CHARS, "{}", refusal.message);
    }

    fn param(json: &str) -> String {
        parse::<Outer>(json.as_bytes()).unwrap_err().param
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (json, path) in [
            (r#"{"number":"x"}"#, "number"),
            (r#"{"number":-1}"#, "number"),
            (r#"{"list":[{"name":"a"},{"name":7}]}"#, "list[1].name"),
            (r#"{"list":[{}]}"#, "list[0].name"),
            (r#"{"list":7}"#, "list"),
            (r#"{"number":1,"number":2}"#, "number"),
            ("[]", "body"),
            ("{", "body"),
        ] {
            assert_eq!(param(json), path, "{json}");
        }
    }

    #[test]
    fn members_that_nobody_knows_are_kept_and_null_is_nothing() {
        let outer: Outer = parse(br#"{"list":"x","number":null,"foo":null,"bar":{}}"#).unwrap();
        assert_eq!(outer.list, Some(TextOr::Text("x".to_owned())));
        assert_eq!(outer.number, None);
        assert_eq!(no_rest(&outer.rest, "a[0]").unwrap_err().param, "a[0].bar");
        assert_eq!(no_rest(&Rest::from_iter([("foo".to_owned(), Value::Null)]), ""), Ok(()));
    }

    #[test]
    fn paths_are_bounded() {
        let rest = Rest::from_iter([("ä".repeat(100_000), Value::from(1))]);
        assert_eq!(no_rest(&rest, "").unwrap_err().param, "ä".repeat(PATH_CHARS));
    }

    #[test]
    fn errors_repeat_nothing_of_the_request() {
        let error = parse::<Outer>(br#"{"number":"secret"}"#).unwrap_err();
        assert!(!error.message.contains("secret"));
    }
}
