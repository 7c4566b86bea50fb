//! Answers read leniently: a detail that cannot be read is no reason to lose an answer.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

/// Reads a member, or passes over it. For `deserialize_with`, together with `default`.
pub(crate) fn member<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Reads what was left as text, or passes over it.
pub(crate) fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// The same for a text; an empty one counts as none.
pub(crate) fn text(raw: Option<&RawValue>) -> Option<String> {
    lenient::<Cow<'_, str>>(raw).map(Cow::into_owned).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::wire::{anthropic, openai};

    #[test]
    fn odd_usage_loses_no_answer() {
        for usage in ["7", "[]", r#"{"prompt_tokens":"x","input_tokens":-1}"#, "null"] {
            let body = format!(r#"{{"usage":{usage},"content":[],"choices":[{{"message":{{"content":"x"}}}}]}}"#);
            assert_eq!(openai::read_answer(body.as_bytes()).unwrap().usage, None, "{usage}");
            let answer = anthropic::read_answer(body.as_bytes()).unwrap();
            // An empty list is read as an object without members.
            assert_eq!(answer.usage.filter(|usage| usage.prompt_tokens > 0), None, "{usage}");
        }
    }
}
