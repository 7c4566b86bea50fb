//! Bodies in Anthropic's shape.

use proptest::prelude::*;

use super::*;

/// A body with these members besides the least that a request has.
fn body(members: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

fn facts(members: &str) -> ChatFacts<'static> {
    read(body(members).leak().as_bytes(), 64, Api::Messages).unwrap()
}

/// Those of a request with these messages.
fn of(messages: &str) -> ChatFacts<'static> {
    let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{messages}]}}"#);
    read(body.leak().as_bytes(), 64, Api::Messages).unwrap()
}

#[test]
fn a_request_is_read_and_its_usage_always_wanted() {
    let facts = facts(r#","stream":true"#);
    assert_eq!((facts.api, &*facts.model, facts.stream, facts.include_usage), (Api::Messages, "m", true, true));
    assert_eq!((facts.output_tokens, facts.needs, facts.sticky), (Some(9), Capabilities::default(), None));
    assert_eq!(facts.service_tier, None);
    assert_eq!((facts.prompt_tokens, facts.longest_input_tokens), (4 + 2, 4 + 2));
}

#[test]
fn what_is_missing_is_named() {
    for (body, param) in [
        (r#"{"max_tokens":1,"messages":[{}]}"#, "model"),
        (r#"{"model":"m","max_tokens":1}"#, "messages"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, "messages"),
        (r#"{"model":"m","max_tokens":1,"messages":"hi"}"#, "messages"),
        (r#"{"model":"m","messages":[{}]}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"max_completion_tokens":1}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"max_tokens":0}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"max_tokens":null}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"max_tokens":1.5}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"max_tokens":"1"}"#, "max_tokens"),
        (r#"{"model":"m","messages":[{}],"x":{"max_tokens":1}}"#, "max_tokens"),
    ] {
        let error = read(body.as_bytes(), 64, Api::Messages).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidField, Some(param)), "{body}");
        assert!(error.message.contains(param), "{}", error.message);
    }
}

#[test]
fn needs_are_read_as_anthropic_names_them() {
    let none = Capabilities::default();
    for (members, needs) in [
        (r#","tools":[{"name":"f","input_schema":{}}]"#, Capabilities::TOOLS),
        (r#","tools":[]"#, none),
        (r#","thinking":{"type":"enabled","budget_tokens":1024}"#, Capabilities::REASONING),
        (r#","thinking":{"display":"omitted","type":"adaptive"}"#, Capabilities::REASONING),
        (r#","thinking":{"type":"disabled"}"#, none),
        (r#","thinking":"enabled""#, none),
        (r#","thinking":{"x":{"type":"enabled"}}"#, none),
        (r#","output_config":{"format":{"type":"json_schema","schema":{}}}"#, Capabilities::JSON_SCHEMA),
        (
            r#","output_config":{"effort":"low","format":{"schema":{"a":[1]},"type":"json_schema"}}"#,
            Capabilities::JSON_SCHEMA,
        ),
        (r#","output_config":{"type":"json_schema"}"#, none),
        (r#","output_config":{"other":{"type":"json_schema"}}"#, none),
        (r#","output_format":{"type":"json_schema","schema":{}}"#, Capabilities::JSON_SCHEMA),
        // OpenAI's members mean nothing here.
        (r#","functions":["f"],"reasoning_effort":"high","response_format":{"type":"json_schema"}"#, none),
    ] {
        assert_eq!(facts(members).needs, needs, "{members}");
    }
}

#[test]
fn images_are_seen_in_messages_and_in_results_of_tools() {
    let image = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}"#;
    for message in [
        format!(r#"{{"role":"user","content":[{image}]}}"#),
        format!(r#"{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[{image}]}}]}}"#),
        r#"{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}"#.to_owned(),
    ] {
        assert_eq!(of(&message).needs, Capabilities::VISION, "{message}");
    }
    let other = r#"{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"type":"image"}}]}"#;
    assert_eq!(of(other).needs, Capabilities::default());
}

#[test]
fn media_and_signatures_count_by_no_byte_of_theirs() {
    let tokens = |content: &str| of(&format!(r#"{{"content":[{content}]}}"#)).prompt_tokens;
    let base64 = "A".repeat(400_000);
    let image =
        format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/jpeg","data":"{base64}"}}}}"#);
    // `base64` and `image/jpeg` are 16 bytes.
    assert_eq!(tokens(&image), 4 + 1_000 + 4);
    let nested = format!(r#"{{"type":"tool_result","content":[{image}]}}"#);
    assert_eq!(tokens(&nested), 4 + 1_000 + 7);
    let document = |data: &str| {
        format!(r#"{{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{data}"}}}}"#)
    };
    assert_eq!(tokens(&document(&base64)), 4 + 1_000 + 6);
    let text = "a b ".repeat(1_000);
    assert_eq!(tokens(&document(&text)), 4 + 1_000 + 6 + 1_000, "plain text is what it is");
    let thought = format!(r#"{{"type":"thinking","thinking":"12 letters..","signature":"{base64}"}}"#);
    assert_eq!(tokens(&thought), 4 + 2 + 3);
}

#[test]
fn the_prompt_has_system_tools_and_schema() {
    let least = facts("").prompt_tokens;
    for (members, more) in [
        (r#","system":"be brief, please!""#, 4),
        (r#","system":[{"type":"text","text":"12 letters.."}]"#, 4),
        (r#","tools":[{"name":"sixteen letters!"}]"#, 5),
        (r#","output_config":{"format":{"type":"json_schema"}}"#, 5),
        (r#","metadata":{"user_id":"nobody counts this"}"#, 0),
        (r#","stop_sequences":["nobody counts this"]"#, 0),
    ] {
        let tokens = facts(members).prompt_tokens;
        assert!((least + more..=least + more + 2).contains(&tokens), "{members}: {tokens}, {least} without");
    }
}

#[test]
fn a_conversation_is_told_by_its_user() {
    let long = format!(r#","metadata":{{"user_id":"{}"}}"#, "x".repeat(513));
    for (members, key) in [
        (r#","metadata":{"user_id":"u"}"#, Some("u")),
        (r#","metadata":{"other":{"user_id":"x"},"user_id":"u"}"#, Some("u")),
        (r#","metadata":{"other":{"user_id":"x"}}"#, None),
        (r#","metadata":{"user_id":null}"#, None),
        (r#","metadata":"user_id","user":"u","conversation_id":null"#, None),
        (&long, None),
    ] {
        assert_eq!(facts(members).sticky, key, "{members}");
    }
}

#[test]
fn what_is_only_looked_at_may_be_of_any_type() {
    for value in ["null", "true", "-1.5e999", r#""x""#, "[]", "[[1]]", "{}", r#"{"type":[{}]}"#, r#"{"format":[1]}"#] {
        for name in ["tools", "thinking", "output_config", "output_format", "metadata", "system", "input", "user"] {
            facts(&format!(r#","{name}":{value}"#));
        }
        of(&format!(r#"{value}, {{"content":{value},"role":{value}}}"#));
    }
}

proptest! {
    #[test]
    fn both_chat_apis_see_the_same_in_messages(
        content in values(),
        members in prop::collection::vec((prop::sample::select(vec!["x", "system", "tools"]), values()), 0..3),
    ) {
        let mut body = serde_json::json!({ "model": "m", "max_tokens": 7, "messages": [{ "content": content }] });
        for (name, value) in members {
            body[name] = value;
        }
        let body = body.to_string();
        let [openai, anthropic] =
            [Api::ChatCompletions, Api::Messages].map(|api| read(body.as_bytes(), 64, api).unwrap());
        prop_assert!(anthropic.include_usage && !openai.include_usage);
        prop_assert_eq!(ChatFacts { api: openai.api, include_usage: false, ..anthropic }, openai);
    }

    #[test]
    fn reading_never_panics_on_what_is_nearly_json(body in r#"[\[\]{}",:\\ 1a]{0,60}"#) {
        let _ = read(body.as_bytes(), 64, Api::Messages);
        for name in ["output_config", "thinking", "metadata", "messages"] {
            let _ = read(format!(r#"{{"{name}":{body}"{name}":{body}"#).as_bytes(), 64, Api::Messages);
        }
    }
}
