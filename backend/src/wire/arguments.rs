//! The arguments of a tool call where they are a text, as in OpenAI's shape and in all streams.

use serde_json::Value;

/// Reads the text of a JSON object. No text at all means no arguments.
pub(crate) fn read(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object() {
        assert_eq!(read(""), Some(json!({})));
        assert_eq!(read(r#"{"a":[1]}"#), Some(json!({"a": [1]})));
        for text in ["[]", "null", "{", "x", r#"{"a":"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
