mod embeddings;
mod messages;

use proptest::prelude::*;

use super::*;

fn code(body: &str) -> (&'static str, Option<String>) {
    let error = read(body.as_bytes(), 64, Api::ChatCompletions).unwrap_err();
    (error.code.as_str(), error.param)
}

#[test]
fn facts_are_borrowed_from_the_body() {
    let body = r#"{"model":"goblin-demo","messages":[{"role":"user","content":"hi"}],"stream":true,"x":{"y":[]}}"#;
    let facts = read(body.as_bytes(), 64, Api::ChatCompletions).unwrap();
    assert!(matches!(facts.model, Cow::Borrowed("goblin-demo")));
    assert!(facts.stream && !facts.include_usage);
}

#[test]
fn answers_are_counted_where_the_api_gives_several() {
    let choices = |members: &str, api| {
        let body = format!(r#"{{"model":"m","messages":[{{}}],"input":"x","max_tokens":1{members}}}"#);
        read(body.as_bytes(), 64, api).unwrap().choices
    };
    for (members, expected) in [
        ("", 1),
        (r#","n":3"#, 3),
        (r#","n":0"#, 1),
        (r#","n":null"#, 1),
        (r#","n":-2"#, 1),
        (r#","n":2.0"#, 1),
        (r#","n":"2""#, 1),
        (r#","x":{"n":2}"#, 1),
        (r#","n":99999999999"#, u32::MAX),
    ] {
        assert_eq!(choices(members, Api::ChatCompletions), expected, "{members}");
        assert_eq!(choices(members, Api::Messages), 1, "{members}");
        assert_eq!(choices(members, Api::Embeddings), 1, "{members}");
    }
}

#[test]
fn the_tier_is_read_as_it_is_written() {
    let body = |members: &str| format!(r#"{{"model":"m","messages":[{{}}],"input":"x","max_tokens":1{members}}}"#);
    for (members, expected) in [
        ("", None),
        (r#","service_tier":"priority""#, Some("priority")),
        (r#","service_tier":"prior\u0069ty""#, Some(r"prior\u0069ty")),
        (r#","service_tier":null,"x":{"service_tier":"flex"}"#, None),
    ] {
        for api in [Api::ChatCompletions, Api::Messages, Api::Embeddings] {
            assert_eq!(read(body(members).as_bytes(), 64, api).unwrap().service_tier, expected, "{members}");
        }
    }
    let twice = body(r#","service_tier":"default","service_tier":"priority""#);
    assert!(read(twice.as_bytes(), 64, Api::ChatCompletions).is_err());
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
    let error = read(br#"{"model":"m","messages":"my secret prompt"}"#, 64, Api::ChatCompletions).unwrap_err();
    assert!(!error.message.contains("secret"), "{}", error.message);
}

#[test]
fn depth_is_exact_and_brackets_in_strings_do_not_count() {
    let nested = |levels: usize| {
        format!(r#"{{"model":"m","messages":[{{}}],"x":{}"[\"]["{}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    assert!(read(nested(63).as_bytes(), 64, Api::ChatCompletions).is_ok());
    assert_eq!(code(&nested(64)).0, "invalid_json");
    assert_eq!(code(&"[".repeat(1_000_000)).0, "invalid_json");
}

fn facts(members: &str) -> ChatFacts<'static> {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{members}}}"#);
    read(body.leak().as_bytes(), 64, Api::ChatCompletions).unwrap()
}

#[test]
fn needs_are_read_from_what_is_asked_for() {
    let with = |members: &str| facts(members).needs;
    let none = Capabilities::default();
    for (members, needs) in [
        ("", none),
        (r#","tools":[{"type":"function"}]"#, Capabilities::TOOLS),
        (r#","tools":[[]]"#, Capabilities::TOOLS),
        (r#","functions":["f"]"#, Capabilities::TOOLS),
        (r#","tools":[],"functions":null"#, none),
        (r#","tools":{"a":[1]},"functions":"f""#, none),
        (r#","x":{"tools":[1]}"#, none),
        (
            r#","response_format":{"json_schema":{"name":"n","schema":{}},"type":"json_schema"}"#,
            Capabilities::JSON_SCHEMA,
        ),
        (r#","response_format":{"type":"json_object","x":{"type":"json_schema"}}"#, none),
        (r#","response_format":"json_schema""#, none),
        (r#","reasoning_effort":"low""#, Capabilities::REASONING),
        (r#","reasoning":{"effort":"high"}"#, Capabilities::REASONING),
        (r#","reasoning_effort":null,"reasoning":{"effort":"none"}"#, none),
        (r#","reasoning_effort":"none","reasoning":null"#, none),
        (r#","tools" : [ 1 ] , "reasoning_effort" : "low""#, Capabilities::TOOLS.with(Capabilities::REASONING)),
    ] {
        assert_eq!(with(members), needs, "{members}");
    }
}

#[test]
fn images_are_seen_where_parts_of_messages_are() {
    let needs = |messages: &str| {
        let body = format!(r#"{{"messages":[{messages}],"model":"m"}}"#);
        read(body.leak().as_bytes(), 64, Api::ChatCompletions).unwrap().needs
    };
    for image in [
        r#"{"content":[{"type":"text","text":"?"},{"type":"image_url","image_url":{"url":"https://x"}}]}"#,
        r#"{"content":[{"image_url":"https://x","type":"input_image"}]}"#,
        r#"{},{"content":[{"type":"image","source":{"type":"base64","data":"iVBO"}}]}"#,
        r#"{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}"#,
    ] {
        assert_eq!(needs(image), Capabilities::VISION, "{image}");
    }
    for other in [
        r#"{"content":"image_url","type":["image"]}"#,
        r#"{"content":[{"type":"tool_use","input":{"type":"image"}}]}"#,
        r#"{"content":[{"type":"tool_use","input":[{"type":"image"}]}]}"#,
        r#"{"content":[{"type":"text","text":"\",\"type\":\"image\""}]}"#,
        r#"{"content":[{"type":"file"},{"type":"input_audio"}]}"#,
        r#"[{"type":"image"}]"#,
    ] {
        assert_eq!(needs(other), Capabilities::default(), "{other}");
    }
}

#[test]
fn the_answers_length_is_taken_where_it_is_a_whole_number() {
    for (members, tokens) in [
        ("", None),
        (r#","max_tokens":7"#, Some(7)),
        (r#","max_tokens":7,"max_completion_tokens":8"#, Some(8)),
        (r#","max_tokens":7,"max_completion_tokens":null"#, Some(7)),
        (r#","max_tokens": 99999999999 "#, Some(u32::MAX)),
        (r#","max_tokens":-1"#, None),
        (r#","max_tokens":1e3"#, None),
        (r#","max_tokens":"7""#, None),
        (r#","max_tokens":{"max_tokens":7}"#, None),
    ] {
        assert_eq!(facts(members).output_tokens, tokens, "{members}");
    }
}

#[test]
fn a_conversation_is_told_by_its_best_key() {
    let long = format!(r#","prompt_cache_key":"{}","user":"u""#, "x".repeat(513));
    let id = "conv_0123456789abcdefABCDEFxy";
    let kept = format!(r#","conversation_id":"{id}","user":"u","prompt_cache_key":"p""#);
    for (members, key) in [
        ("", None),
        (r#","user":"u""#, Some("u")),
        (r#","user":"u","prompt_cache_key":"p""#, Some("p")),
        (&kept, Some(id)),
        (r#","conversation_id":null,"user":7,"prompt_cache_key":["p"]"#, None),
        (r#","prompt_cache_key":"a\u00e9\"b""#, Some(r#"a\u00e9\"b"#)),
        (&long, Some("u")),
    ] {
        assert_eq!(facts(members).sticky, key, "{members}");
    }
}

#[test]
fn a_conversation_is_named_by_its_id_or_not_at_all() {
    let with = |value: &str| format!(r#"{{"model":"m","messages":[{{}}],"conversation_id":{value}}}"#);
    let id = "conv_0123456789abcdefABCDEFxy";
    let body = with(&format!("{id:?}"));
    assert_eq!(read(body.as_bytes(), 64, Api::ChatCompletions).unwrap().conversation_id, Some(id));
    assert_eq!(read(with(" null ").as_bytes(), 64, Api::ChatCompletions).unwrap().conversation_id, None);
    let named = Some("conversation_id".to_owned());
    for wrong in [r#""""#, r#""c""#, "7", "true", "[]", "{}", r#"["conv_0123456789abcdefABCDEFxy"]"#, r#"{"a":"b"}"#] {
        assert_eq!(code(&with(wrong)), ("invalid_field", named.clone()), "{wrong}");
    }
    let inner = r#"{"model":"m","messages":[{"conversation_id":7}],"metadata":{"conversation_id":7}}"#;
    assert_eq!(read(inner.as_bytes(), 64, Api::ChatCompletions).unwrap().conversation_id, None);
    let twice = format!(r#"{{"model":"m","messages":[{{}}],"conversation_id":"{id}","conversation\u005fid":"{id}"}}"#);
    assert_eq!(code(&twice).0, "invalid_field");
    for api in [Api::Messages, Api::Embeddings] {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{}}],"input":"x","conversation_id":"{id}"}}"#);
        let error = read(body.as_bytes(), 64, api).unwrap_err();
        assert_eq!((error.code.as_str(), error.param), ("invalid_field", named.clone()), "{api:?}");
        assert!(error.message.contains("/v1/chat/completions"));
    }
}

#[test]
fn messages_alone_are_as_long_as_in_a_body() {
    for messages in [
        "[]",
        r#"[{"role":"user","content":"hi"}]"#,
        r#" [ {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"é"}]} , {} ] "#,
        r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}]"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        let expected = scan(body.as_bytes(), 64, Api::ChatCompletions).unwrap().prompt.tokens();
        assert_eq!(messages_tokens(messages.as_bytes()), expected, "{messages}");
    }
}

#[test]
fn the_prompts_length_is_estimated() {
    let tokens = |members: &str| facts(members).prompt_tokens;
    // One message, `user` and `hi`.
    let least = 4 + 2;
    assert_eq!(tokens(""), least);
    assert_eq!(tokens(r#","x":"not of the prompt","temperature":1.5"#), least);
    assert_eq!(tokens(r#","system":"be brief, please!""#), 4 + 6);
    assert_eq!(tokens(r#","tools":[{"name":"sixteen letters!"}]"#), least + 5);
    assert_eq!(tokens(r#","response_format":{"type":"text"}"#), least + 2);
    let image =
        |url: &str| format!(r#"{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}"#);
    let body = |message: &str| format!(r#"{{"model":"m","messages":[{message}]}}"#);
    let large = body(&image(&format!("data:image/png;base64,{}", "A".repeat(100_000))));
    assert_eq!(read(large.as_bytes(), 64, Api::ChatCompletions).unwrap().prompt_tokens, 4 + 1 + 1_000);
    let parts = body(r#"{"content":[{"type":"text","text":"12 letters.."}]}"#);
    assert_eq!(read(parts.as_bytes(), 64, Api::ChatCompletions).unwrap().prompt_tokens, 4 + 1 + 3);
    let sound =
        body(r#"{"content":[{"type":"input_audio","input_audio":{"data":"AAAAAAAAAAAAAAAA","format":"mp3!"}}]}"#);
    assert_eq!(read(sound.as_bytes(), 64, Api::ChatCompletions).unwrap().prompt_tokens, 4 + 1 + 1_000);
}

#[test]
fn what_is_only_looked_at_may_be_of_any_type() {
    for value in ["null", "true", "-1.5e999", r#""x""#, "[]", "[[1]]", "{}", r#"{"type":[{}]}"#] {
        for name in
            ["tools", "functions", "response_format", "reasoning", "max_tokens", "user", "prompt_cache_key", "system"]
        {
            facts(&format!(r#","{name}":{value}"#));
        }
        let body = format!(r#"{{"model":"m","messages":[{value}, {{"content":{value},"role":{value}}}]}}"#);
        assert!(read(body.as_bytes(), 64, Api::ChatCompletions).is_ok(), "{body}");
    }
}

/// The same by reading the whole body into values: tokens, and whether there is an image.
fn naive(body: &str) -> (u64, bool) {
    use serde_json::Value;
    fn is_base64(text: &str) -> bool {
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || ['+', '/', '-', '_', '='].contains(&letter))
    }
    fn texts(value: &Value, name: &str) -> u64 {
        match value {
            Value::String(text) if !(text.starts_with("data:") || name == "data" && is_base64(text)) => {
                text.len() as u64
            }
            Value::Array(values) => values.iter().map(|value| texts(value, "")).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| texts(value, name)).sum(),
            _ => 0,
        }
    }
    fn images(content: &Value) -> u64 {
        let parts = content.as_array().into_iter().flatten().filter(|part| part.is_object());
        parts.map(|part| u64::from(part["type"] == "image_url") + images(&part["content"])).sum()
    }
    let body: Value = serde_json::from_str(body).unwrap();
    let messages = &body["messages"];
    let count = messages.as_array().unwrap().len() as u64;
    let images: u64 = messages.as_array().unwrap().iter().map(|message| images(&message["content"])).sum();
    let bytes = texts(messages, "") - images * "image_url".len() as u64;
    (bytes.div_ceil(4) + 4 * count + 1_000 * images, images > 0)
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        // Nothing that JSON must escape.
        "[ -!#-\\[\\]-~]{0,12}".prop_map(Value::from),
        Just(Value::from("data:,x")),
        Just(Value::from("image_url")),
    ];
    let names =
        prop::sample::select(vec!["content", "content", "type", "text", "data", "image_url", "tools", "type", "x"]);
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_valid_body_is_walked_as_it_is_read(
        messages in prop::collection::vec(
            (values(), prop::option::of(values())).prop_map(|(content, x)| serde_json::json!({ "content": content, "x": x })),
            1..4,
        ),
        more in values(),
        is_pretty in any::<bool>(),
    ) {
        let body = serde_json::json!({ "more": more, "messages": messages, "model": "m", "last": more });
        let body = if is_pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
        let facts = read(body.as_bytes(), 64, Api::ChatCompletions).unwrap();
        let (tokens, sees) = naive(&body);
        prop_assert_eq!((u64::from(facts.prompt_tokens), facts.needs.contains(Capabilities::VISION)), (tokens, sees));
    }

    #[test]
    fn reading_never_panics_on_what_is_nearly_json(body in r#"[\[\]{}",:\\ 1a]{0,60}"#) {
        let _ = read(body.as_bytes(), 64, Api::ChatCompletions);
        let _ = read(format!(r#"{{"tools":{body}"messages":{body}"#).as_bytes(), 64, Api::ChatCompletions);
    }

    #[test]
    fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body, 64, Api::ChatCompletions);
    }
}
