//! Bodies that ask for embeddings.

use proptest::prelude::*;

use super::*;

fn facts(input: &str) -> ChatFacts<'static> {
    let body = format!(r#"{{"model":"m","input":{input}}}"#);
    read(body.leak().as_bytes(), 64, Api::Embeddings).unwrap()
}

#[test]
fn a_request_is_read() {
    let body = r#"{"model":"m","input":"hi","user":"u","encoding_format":"base64","dimensions":8,"max_tokens":7}"#;
    let facts = read(body.as_bytes(), 64, Api::Embeddings).unwrap();
    let expected = ChatFacts {
        api: Api::Embeddings,
        model: "m".into(),
        stream: false,
        include_usage: false,
        prompt_tokens: 1,
        longest_input_tokens: 1,
        output_tokens: None,
        choices: 1,
        needs: Capabilities::default(),
        sticky: Some("u"),
        service_tier: None,
        conversation_id: None,
    };
    assert_eq!(facts, expected);
}

#[test]
fn what_is_missing_or_no_input_is_named() {
    for (members, param) in [
        (r#""input":"hi""#, "model"),
        (r#""model":"m""#, "input"),
        (r#""model":"m","messages":[{}]"#, "input"),
        (r#""model":"m","input":null"#, "input"),
        (r#""model":"m","input":"""#, "input"),
        (r#""model":"m","input":[]"#, "input"),
        (r#""model":"m","input":{"text":"hi"}"#, "input"),
        (r#""model":"m","input":7"#, "input"),
        (r#""model":"m","input":true"#, "input"),
        (r#""model":"m","input":"hi","stream":true"#, "stream"),
    ] {
        let error = read(format!("{{{members}}}").as_bytes(), 64, Api::Embeddings).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidField, Some(param)), "{members}");
    }
}

#[test]
fn inputs_are_counted_together_and_the_longest_by_itself() {
    let twelve = "12 letters..";
    for (input, together, longest) in [
        (format!(r#""{twelve}""#), 3, 3),
        (format!(r#"["{twelve}","hi","{twelve}{twelve}"]"#), 10, 6),
        ("[1,2,3]".to_owned(), 3, 3),
        ("[[1,2,3],[4],[5, 6]]".to_owned(), 6, 3),
        ("[[1],[4,5]]".to_owned(), 3, 2),
    ] {
        let facts = facts(&input);
        assert_eq!((facts.prompt_tokens, facts.longest_input_tokens), (together, longest), "{input}");
    }
}

#[test]
fn chats_members_mean_nothing_here() {
    let chat =
        r#""tools":[1],"reasoning_effort":"low","messages":"x","conversation_id":null,"system":"long, long text""#;
    let body = format!(r#"{{"model":"m","input":["hi"],{chat}}}"#);
    assert_eq!(read(body.as_bytes(), 64, Api::Embeddings), Ok(facts(r#"["hi"]"#)));
    // Nor do those of embeddings in a chat.
    let chat = r#"{"model":"m","messages":[{}],"input":{"a":["not counted, not refused"]}}"#;
    assert_eq!(read(chat.as_bytes(), 64, Api::ChatCompletions).unwrap().prompt_tokens, 4);
}

proptest! {
    #[test]
    fn inputs_are_counted_as_they_are(inputs in prop::collection::vec("[ -!#-\\[\\]-~]{0,40}", 1..8)) {
        let body = serde_json::json!({ "input": inputs, "model": "m" }).to_string();
        let facts = read(body.as_bytes(), 64, Api::Embeddings).unwrap();
        let bytes: usize = inputs.iter().map(String::len).sum();
        let longest = inputs.iter().map(String::len).max().unwrap();
        let expected = (bytes.div_ceil(4), longest.div_ceil(4));
        prop_assert_eq!((facts.prompt_tokens as usize, facts.longest_input_tokens as usize), expected);
    }

    #[test]
    fn tokens_are_counted_as_they_are(inputs in prop::collection::vec(prop::collection::vec(any::<u16>(), 0..9), 1..8)) {
        let body = serde_json::json!({ "model": "m", "input": inputs }).to_string();
        let facts = read(body.as_bytes(), 64, Api::Embeddings).unwrap();
        let longest = inputs.iter().map(Vec::len).max().unwrap();
        let expected = (inputs.iter().map(Vec::len).sum::<usize>(), longest);
        prop_assert_eq!((facts.prompt_tokens as usize, facts.longest_input_tokens as usize), expected);
    }

    #[test]
    fn reading_never_panics_on_what_is_nearly_json(body in r#"[\[\]{}",:\\ 1a]{0,60}"#) {
        let _ = read(body.as_bytes(), 64, Api::Embeddings);
        let _ = read(format!(r#"{{"model":"m","input":{body}"input":{body}"#).as_bytes(), 64, Api::Embeddings);
    }
}
