//! The client's body as the upstream gets it: the same bytes, but for the model's name, the wish for usage, and the
//! gateway's own member `conversation_id`, which providers refuse.
//!
//! The places are found and edited in the text itself, so that everything else stays as the client wrote it: unknown
//! members, order, numbers, white space.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The gateway's own member: it tells conversations apart, and is for routing alone.
const CONVERSATION: &str = "conversation_id";

/// An object's members in their order, with the text of their values.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// The value of a member, if it is there. It may not be there twice: readers would not agree on it.
    fn get(&self, name: &str) -> Result<Option<&'a RawValue>, serde_json::Error> {
        let mut values = self.0.iter().filter(|(of, _)| of == name).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(serde_json::Error::custom("a member is there twice")),
        }
    }
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

/// The body with `model` being `upstream_model`, without `conversation_id`, and with usage asked for if it is to be
/// streamed.
pub(super) fn for_upstream(body: &Bytes, upstream_model: &str, stream: bool) -> Result<Bytes, UnreadableBody> {
    let text = std::str::from_utf8(body)?;
    let members: Members<'_> = serde_json::from_str(text)?;
    let found = members.get("model")?.ok_or_else(|| serde_json::Error::custom("no model"))?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(2);
    let model: Cow<'_, str> = serde_json::from_str(found.get())?;
    if model != upstream_model {
        edits.push((place(text, found.get()), serde_json::to_string(upstream_model)?));
    }
    if stream {
        edits.extend(usage_edit(text, members.get("stream_options")?)?);
    }
    edits.extend(cuts(text, &members).into_iter().map(|place| (place, String::new())));
    if edits.is_empty() {
        return Ok(body.clone());
    }
    // An insertion at the beginning comes before a cut there.
    edits.sort_by_key(|(place, _)| (place.start, place.end));
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

/// What to leave out so that the gateway's own members are gone, each with one comma. Another member is there: the model.
fn cuts(text: &str, members: &Members<'_>) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let first_kept = members.0.iter().position(|(name, _)| name != CONVERSATION).unwrap_or_default();
    if let Some((_, last)) = first_kept.checked_sub(1).and_then(|last| members.0.get(last)) {
        let (begin, end) = (text.find('{').unwrap_or_default() + 1, place(text, last.get()).end);
        cuts.push(begin..end + text[end..].find(',').map_or(0, |comma| comma + 1));
    }
    for pair in members.0[first_kept..].windows(2) {
        if let [(_, before), (name, value)] = pair
            && name == CONVERSATION
        {
            cuts.push(place(text, before.get()).end..place(text, value.get()).end);
        }
    }
    cuts
}

fn usage_edit(text: &str, options: Option<&RawValue>) -> Result<Option<(Range<usize>, String)>, serde_json::Error> {
    const WISH: &str = r#""include_usage":true"#;
    let Some(options) = options else {
        return Ok(Some(insertion(text, 0, &format!(r#""stream_options":{{{WISH}}}"#))));
    };
    if options.get() == "null" {
        return Ok(Some((place(text, options.get()), format!("{{{WISH}}}"))));
    }
    let inner: Members<'_> = serde_json::from_str(options.get())?;
    Ok(match inner.get("include_usage")? {
        Some(value) if value.get() == "true" => None,
        Some(value) => Some((place(text, value.get()), "true".to_owned())),
        None => Some(insertion(options.get(), place(text, options.get()).start, WISH)),
    })
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

    #[test]
    fn the_gateways_own_member_is_left_out() {
        for (body, wanted) in [
            (r#"{"conversation_id":"c","model":"m"}"#, r#"{"model":"m"}"#),
            (r#"{ "conversation_id" : "a,}" , "model":"m"}"#, r#"{ "model":"m"}"#),
            (r#"{"model":"m", "conversation_id":null }"#, r#"{"model":"m" }"#),
            (r#"{"model":"m","conversation\u005fid":{"x":[1]},"a":1}"#, r#"{"model":"m","a":1}"#),
            (
                r#"{"conversation_id":1,"conversation_id":2,"model":"m","conversation_id":3,"a":4,"conversation_id":5}"#,
                r#"{"model":"m","a":4}"#,
            ),
            (r#"{"model":"m","a":{"conversation_id":"inner"}}"#, r#"{"model":"m","a":{"conversation_id":"inner"}}"#),
        ] {
            assert_eq!(sent(body, "m", false), wanted);
        }
        assert_eq!(
            sent(r#"{"conversation_id":"c","model":"alias","conversation_id":7}"#, "m", true),
            r#"{"stream_options":{"include_usage":true},"model":"m"}"#
        );
    }

    proptest! {
        #[test]
        fn nothing_else_changes(
            before in prop::collection::vec(("[a-l]{1,4}", "\\PC{0,8}", any::<i64>()), 0..4),
            after in prop::collection::vec(("[n-r]{1,4}", "\\PC{0,8}", any::<f64>()), 0..4),
            options in prop::option::of(prop::collection::btree_map("[a-c]{1,2}", any::<bool>(), 0..3)),
            conversation in any::<(bool, bool)>(),
        ) {
            let mut object = serde_json::Map::new();
            if conversation.0 {
                object.insert(CONVERSATION.into(), "c".into());
            }
            object.extend(before.into_iter().map(|(name, text, number)| (name, json!([text, number]))));
            object.insert("model".into(), "alias".into());
            if let Some(options) = options {
                object.insert("stream_options".into(), json!(options));
            }
            if conversation.1 {
                object.insert(CONVERSATION.into(), "c".into());
            }
            object.extend(after.into_iter().map(|(name, text, number)| (name, json!({ "t": text, "n": number }))));
            let body = Value::Object(object).to_string();
            let sent: Value = serde_json::from_str(&sent(&body, "m", true)).unwrap();
            prop_assert_eq!(&sent["stream_options"]["include_usage"], &json!(true));
            let mut object: serde_json::Map<String, Value> = serde_json::from_str(&body).unwrap();
            object["model"] = "m".into();
            object.remove(CONVERSATION);
            let expected = object.entry("stream_options").or_insert_with(|| json!({}));
            expected["include_usage"] = json!(true);
            prop_assert_eq!(sent, Value::Object(object));
        }
    }
}
