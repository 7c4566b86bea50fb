//! A value that fits a JSON schema, for schemas as tests write them.

use serde_json::{Map, Value, json};

/// A value that fits `schema`: the first of an `enum`, each member of an object, one element of an array, else a fixed
/// value of the type. Types are read in any case, as Gemini writes them in capitals.
pub(super) fn of(schema: &Value) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].as_array().and_then(|schemas| schemas.first()) {
        return of(first);
    }
    // Of several types the first.
    let named = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match named.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => "goblin".into(),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(7.into()),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        Some("array") => json!([of(&schema["items"])]),
        // An object, or whatever was left open.
        _ => {
            let members = schema["properties"].as_object();
            members.into_iter().flatten().map(|(name, schema)| (name.clone(), of(schema))).collect::<Map<_, _>>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fit_their_schemas() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["c", "f"]}, "days": {"type": "INTEGER", "minimum": 2},
            "tags": {"type": "array", "items": {"type": ["boolean", "null"]}}, "inner": {"anyOf": [{"type": "null"}]},
        }});
        assert_eq!(of(&schema), json!({"city": "goblin", "unit": "c", "days": 2, "tags": [true], "inner": null}));
        assert_eq!(of(&json!({})), json!({}));
    }
}
