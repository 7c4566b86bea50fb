//! The message that is kept of an answer.

use super::super::{NotRecorded, Recorder};
use super::*;

fn whole(message: &str) -> Result<String, NotRecorded> {
    let mut recorder = Recorder::default();
    recorder.whole(answer(message).as_bytes());
    recorder.finish()
}

fn pieces(deltas: &[&str]) -> Result<String, NotRecorded> {
    let mut recorder = Recorder::default();
    for delta in deltas {
        recorder.chunk(&format!(r#"{{"object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta}}}]}}"#));
    }
    recorder.chunk(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#);
    recorder.finish()
}

#[test]
fn a_stream_and_a_whole_answer_become_the_same() {
    for (message, deltas, kept) in [
        (
            r#"{"role":"assistant","content":"Grüße","refusal":null,"annotations":[]}"#,
            &[
                r#"{"role":"assistant","content":"","refusal":null}"#,
                r#"{"content":"Grü"}"#,
                r#"{"content":"ße"}"#,
                "{}",
            ][..],
            r#"{"role":"assistant","content":"Grüße"}"#,
        ),
        (
            r#"{"role":"assistant","content":null,"refusal":"No."}"#,
            &[r#"{"role":"assistant","content":""}"#, r#"{"refusal":"N"}"#, r#"{"refusal":"o."}"#],
            r#"{"role":"assistant","content":null,"refusal":"No."}"#,
        ),
        (
            r#"{"role":"assistant","content":"","reasoning_content":"hmm"}"#,
            &[r#"{"role":"assistant","reasoning_content":"hm"}"#, r#"{"reasoning_content":"m"}"#],
            r#"{"role":"assistant","content":""}"#,
        ),
        (
            r#"{"role":"assistant","content":null,"tool_calls":[
                {"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
                {"id":"b","type":"custom","custom":{"name":"g","input":"in"}}]}"#,
            &[
                r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":1,"id":"b","type":"custom","custom":{"name":"g","input":"i"}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"x\""}},{"index":1,"custom":{"input":"n"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#,
            ],
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"custom","custom":{"name":"g","input":"in"}}]}"#,
        ),
        (
            r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}"#,
            &[r#"{"function_call":{"name":"f","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#],
            r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}"#,
        ),
        (
            r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]}"#,
            &[r#"{"content":"a"}"#, r#"{"content":"b"}"#],
            r#"{"role":"assistant","content":"ab"}"#,
        ),
    ] {
        assert_eq!(whole(message).as_deref(), Ok(kept), "{message}");
        assert_eq!(pieces(deltas).as_deref(), Ok(kept), "{deltas:?}");
    }
}

#[test]
fn the_streams_of_the_fixtures_are_read() {
    for (name, stream, kept) in [
        (
            "text",
            &include_bytes!("../../../wire/fixtures/openai/text.sse")[..],
            r#"{"role":"assistant","content":"Grüße, 世界 🦀"}"#,
        ),
        (
            "tools",
            include_bytes!("../../../wire/fixtures/openai/tools.sse"),
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Köln\"}"}},{"id":"call_b","type":"function","function":{"name":"time","arguments":"{}"}}]}"#,
        ),
        (
            "refusal",
            include_bytes!("../../../wire/fixtures/openai/refusal.sse"),
            r#"{"role":"assistant","content":null,"refusal":"I can't help."}"#,
        ),
        (
            "reasoning",
            include_bytes!("../../../wire/fixtures/openai/reasoning.sse"),
            r#"{"role":"assistant","content":"42"}"#,
        ),
    ] {
        let mut recorder = Recorder::default();
        let lines = str::from_utf8(stream).unwrap().lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(str::trim).filter(|data| *data != "[DONE]").for_each(|data| recorder.chunk(data));
        assert_eq!(recorder.finish().as_deref(), Ok(kept), "{name}");
    }
}

#[test]
fn other_choices_are_not_kept() {
    let mut recorder = Recorder::default();
    recorder.chunk(r#"{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}"#);
    assert_eq!(recorder.finish().as_deref(), Ok(r#"{"role":"assistant","content":"a"}"#));
}

#[test]
fn what_cannot_be_kept_is_told() {
    assert_eq!(Recorder::default().finish(), Err(NotRecorded::Unreadable));
    let mut recorder = Recorder::default();
    recorder.chunk(r#"{"choices":[{"delta":{"content":"a"}}]}"#);
    recorder.chunk("{");
    recorder.chunk(r#"{"choices":[{"delta":{"content":"a"}}]}"#);
    assert_eq!(recorder.finish(), Err(NotRecorded::Unreadable));
    let mut recorder = Recorder::default();
    let megabyte = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1 << 20));
    (0..4).for_each(|_| recorder.chunk(&megabyte));
    recorder.chunk(r#"{"choices":[{"delta":{"content":"x"}}]}"#);
    assert_eq!(recorder.finish(), Err(NotRecorded::TooLarge));
    let calls = (0..1_025).map(|index| format!(r#"{{"index":{index}}}"#)).collect::<Vec<_>>().join(",");
    assert_eq!(pieces(&[&format!(r#"{{"tool_calls":[{calls}]}}"#)]), Err(NotRecorded::TooLarge));
}
