//! What is read of an answer that passes as it is.

use serde::Deserialize;

use crate::{
    ports::Usage,
    wire::{Unreadable, lenient},
};

#[derive(Deserialize)]
struct Facts {
    #[serde(rename = "data")]
    _data: List,
    #[serde(default, deserialize_with = "lenient::member")]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient::member")]
    usage: Option<Tokens>,
}

/// A list, whatever is in it.
struct List;

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = List;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(List)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
}

/// What is read of an answer in OpenAI's shape that passes as it is: model and usage, where they are of the usual type.
pub(crate) fn read_facts(body: &[u8]) -> Result<(Option<String>, Option<Usage>), Unreadable> {
    let facts: Facts = serde_json::from_slice(body).map_err(|_| Unreadable("it is no list of embeddings"))?;
    let usage = facts.usage.and_then(|tokens| tokens.prompt_tokens);
    Ok((facts.model, usage.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() })))
}
