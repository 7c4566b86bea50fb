//! The client's body as the upstream gets it: the same bytes, but for the model's name and the wish for usage.
//!
//! The two places are found and replaced in the text itself, so that everything else stays as the client wrote it:
//! unknown members, order, numbers, white space.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow, default)]
    stream_options: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default)]
    include_usage: Option<&'a RawValue>,
}

/// The body is not what was checked when the request was accepted.
#[derive(Debug, thiserror::Error)]
#[error("the accepted body cannot be read again")]
pub(super) enum UnreadableBody {
    /// Not UTF-8.
    Text(#[from] std::str::Utf8Error),
    /// Not JSON, or without a model.
    Json(#[from] serde_json::Error),
}

/// The body with `model` being `upstream_model`, and with usage asked for if it is to be streamed.
pub(super) fn for_upstream(body: &Bytes, upstream_model: &str, stream: bool) -> Result<Bytes, UnreadableBody> {
    let text = std::str::from_utf8(body)?;
    let found: Body<'_> = serde_json::from_str(text)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(2);
    let model: Cow<'_, str> = serde_json::from_str(found.model.get())?;
    if model != upstream_model {
        edits.push((place(text, found.model.get()), serde_json::to_string(upstream_model)?));
    }
    if stream {
        edits.extend(usage_edit(text, found.stream_options)?);
    }
    if edits.is_empty() {
        return Ok(body.clone());
    }
    edits.sort_by_key(|(place, _)| place.start);
    let mut edited = String::with_capacity(text.len() + 64);
    let mut kept = 0;
    for (place, replacement) in edits {
        edited.push_str(&text[kept..place.start]);
        edited.push_str(&replacement);
        kept = place.end;
    }
    edited.push_str(&text[kept..]);
    Ok(edited.into())
}

fn usage_edit(text: &str, options: Option<&RawValue>) -> Result<Option<(Range<usize>, String)>, serde_json::Error> {
    const WISH: &str = r#""include_usage":true"#;
    let Some(options) = options else {
        // `null` counts as absent, but must not stay as a second member of the name.
        if let Some(place) = null_options(text)? {
            return Ok(Some((place, format!("{{{WISH}}}"))));
        }
        return Ok(Some(insertion(text, 0, &format!(r#""stream_options":{{{WISH}}}"#))));
    };
    let start = place(text, options.get()).start;
    let inner: StreamOptions<'_> = serde_json::from_str(options.get())?;
    Ok(match inner.include_usage {
        Some(value) if value.get() == "true" => None,
        Some(value) => Some((place(text, value.get()), "true".to_owned())),
        None => match null_member(options.get(), "include_usage")? {
            Some(inner) => Some((start + inner.start..start + inner.end, "true".to_owned())),
            None => Some(insertion(options.get(), start, WISH)),
        },
    })
}

fn null_options(text: &str) -> Result<Option<Range<usize>>, serde_json::Error> {
    null_member(text, "stream_options")
}

/// Where a member that is `null` has its value. Serde gives `None` for it as for a member that is not there.
fn null_member(object: &str, name: &str) -> Result<Option<Range<usize>>, serde_json::Error> {
    struct Members<'n>(&'n str);
    impl<'de> serde::de::Visitor<'de> for Members<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                let value: &RawValue = map.next_value()?;
                if key == self.0 {
                    found = Some(value);
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let found = serde::Deserializer::deserialize_map(&mut deserializer, Members(name))?;
    Ok(found.map(|value| place(object, value.get())))
}

/// Where to add a member to an object that begins at `start`: right after its brace.
fn insertion(object: &str, start: usize, member: &str) -> (Range<usize>, String) {
    let brace = object.find('{').unwrap_or_default() + 1;
    let empty = object[brace..].trim_start().starts_with('}');
    let comma = if empty { "" } else { "," };
    (start + brace..start + brace, format!("{member}{comma}"))
}

/// Where a borrowed part stands in the text that it was borrowed from.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn sent(body: &str, model: &str, stream: bool) -> String {
        let body = for_upstream(&Bytes::copy_from_slice(body.as_bytes()), model, stream).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn an_unstreamed_request_is_the_same_text() {
        let body = "{ \"x\" : 1.0e+2, \"model\":\"m\",\n\"big\":123456789012345678901234567890,\"messages\":[{}] }";
        assert_eq!(sent(body, "m", false), body);
    }

    #[test]
    fn only_a_mapped_name_is_replaced() {
        assert_eq!(sent(r#"{"a":1,"model": "openai\/m" ,"b":2}"#, "m", false), r#"{"a":1,"model": "m" ,"b":2}"#);
        assert_eq!(sent(r#"{"model":"\u006d"}"#, "m", false), r#"{"model":"\u006d"}"#);
    }

    #[test]
    fn usage_is_asked_for_and_other_options_stay() {
        for (options, wanted) in [
            (r#""model":"m""#, r#""stream_options":{"include_usage":true},"model":"m""#),
            (r#""model":"m","stream_options":null"#, r#""model":"m","stream_options":{"include_usage":true}"#),
            (r#""model":"m","stream_options":{ }"#, r#""model":"m","stream_options":{"include_usage":true }"#),
            (
                r#""stream_options":{"include_obfuscation":false,"include_usage":false},"model":"m""#,
                r#""stream_options":{"include_obfuscation":false,"include_usage":true},"model":"m""#,
            ),
            (
                r#""stream_options":{"include_usage":null},"model":"m""#,
                r#""stream_options":{"include_usage":true},"model":"m""#,
            ),
            (r#""stream_options":{"x":1},"model":"m""#, r#""stream_options":{"include_usage":true,"x":1},"model":"m""#),
            (
                r#""stream_options":{"include_usage":true},"model":"m""#,
                r#""stream_options":{"include_usage":true},"model":"m""#,
            ),
        ] {
            assert_eq!(sent(&format!("{{{options}}}"), "m", true), format!("{{{wanted}}}"));
        }
    }

    proptest! {
        #[test]
        fn nothing_else_changes(
            before in prop::collection::vec(("[a-l]{1,4}", "\\PC{0,8}", any::<i64>()), 0..4),
            after in prop::collection::vec(("[n-r]{1,4}", "\\PC{0,8}", any::<f64>()), 0..4),
            options in prop::option::of(prop::collection::btree_map("[a-c]{1,2}", any::<bool>(), 0..3)),
        ) {
            let mut object = serde_json::Map::new();
            object.extend(before.into_iter().map(|(name, text, number)| (name, json!([text, number]))));
            object.insert("model".into(), "alias".into());
            if let Some(options) = options {
                object.insert("stream_options".into(), json!(options));
            }
            object.extend(after.into_iter().map(|(name, text, number)| (name, json!({ "t": text, "n": number }))));
            let body = Value::Object(object).to_string();
            let sent: Value = serde_json::from_str(&sent(&body, "m", true)).unwrap();
            prop_assert_eq!(&sent["stream_options"]["include_usage"], &json!(true));
            let mut object: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
            object["model"] = "m".into();
            let expected = object.entry("stream_options").or_insert_with(|| json!({}));
            expected["include_usage"] = json!(true);
            prop_assert_eq!(sent, Value::Object(object));
        }
    }
}
