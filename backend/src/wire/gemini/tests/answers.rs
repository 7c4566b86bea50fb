use proptest::{option, prelude::*};
use serde_json::{Value, json};

use super::{super::mirror, arbitrary, request_id};
use crate::wire::{
    gemini::{StreamReader, read_answer},
    neutral::{Answer, AssistantPart, Choice, Delta, Stop},
    sse,
};

/// The pieces in which an answer comes: one choice after the other.
fn pieces(answer: &Answer) -> Vec<Delta> {
    let mut deltas = vec![Delta::Begin { id: answer.id.clone(), model: answer.model.clone() }];
    for (choice, parts) in (0..).zip(&answer.choices) {
        let mut call = 0;
        for part in &parts.parts {
            match part.clone() {
                AssistantPart::Text(text) => deltas.push(Delta::Text { choice, text }),
                AssistantPart::Reasoning { text, signature } => {
                    deltas.push(Delta::Reasoning { choice, text });
                    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { choice, signature }));
                }
                AssistantPart::ToolCall(tool) => {
                    let json = tool.arguments.to_string();
                    let (id, name, signature) = (tool.id, tool.name, tool.signature);
                    deltas.push(Delta::ToolCall { choice, call, id, name, signature });
                    deltas.push(Delta::Arguments { choice, call, json });
                    call += 1;
                }
                AssistantPart::Refusal(_) | AssistantPart::RedactedReasoning(_) => unreachable!("the format has none"),
            }
        }
        deltas.extend(parts.logprobs.clone().map(|logprobs| Delta::Logprobs { choice, logprobs }));
    }
    deltas.extend(answer.usage.map(Delta::Usage));
    deltas
}

/// The ends of an answer's choices, of which this format's reader tells at the end of the body.
fn ends(answer: &Answer) -> Vec<Delta> {
    let stop = |(choice, of): (u32, &Choice)| Some(Delta::Stop { choice, stop: of.stop.clone()? });
    (0..).zip(&answer.choices).filter_map(stop).collect()
}

/// Reads a body in one piece.
fn read_stream(body: &str) -> (Vec<Delta>, bool) {
    let (mut parser, mut events) = (sse::Parser::default(), Vec::new());
    parser.push(body.as_bytes(), &mut events).unwrap();
    events.extend(parser.finish());
    let mut reader = StreamReader::new(request_id());
    let mut deltas = Vec::new();
    for event in &events {
        reader.read(event, &mut deltas).unwrap();
    }
    let complete = reader.is_complete();
    if complete {
        reader.finish(&mut deltas);
    }
    (deltas, complete)
}

/// Any JSON, with the format's own names here and there.
fn json() -> impl Strategy<Value = Value> {
    let name = "candidates|content|parts|text|thought|thoughtSignature|functionCall|name|args|id|index|finishReason|\
                promptFeedback|blockReason|usageMetadata|promptTokenCount|logprobsResult|chosenCandidates|[a-z]";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "STOP|[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn an_answer_comes_back_as_it_was(answer in arbitrary::answer()) {
        prop_assert_eq!(read_answer(&mirror::write_answer(&answer), request_id()), Ok(answer));
    }

    #[test]
    fn a_stream_comes_back_as_it_was(answer in arbitrary::answer(), line_end in "\n|\r\n|\r") {
        let (pieces, ends) = (pieces(&answer), ends(&answer));
        let body = mirror::write_stream(&[pieces.clone(), ends.clone()].concat(), &line_end);
        prop_assert_eq!(read_stream(&body), ([pieces, ends].concat(), true));
    }

    #[test]
    fn any_json_is_read_or_refused(members in option::of(json()), other in json()) {
        let candidates = json!({ "candidates": [members], "usageMetadata": { "promptTokenCount": 1 } });
        for value in [candidates, other] {
            let body = value.to_string();
            let _ = read_answer(body.as_bytes(), request_id());
            let event = sse::Event { data: body, ..sse::Event::default() };
            let mut reader = StreamReader::new(request_id());
            let _ = reader.read(&event, &mut Vec::new()).and_then(|()| reader.read(&event, &mut Vec::new()));
            reader.finish(&mut Vec::new());
        }
    }
}

fn read(body: &Value) -> Result<Answer, crate::wire::Unreadable> {
    read_answer(body.to_string().as_bytes(), request_id())
}

#[test]
fn reasons_are_sorted_by_what_they_mean() {
    for (reason, stop) in [
        ("STOP", Stop::End),
        ("MAX_TOKENS", Stop::Length),
        ("SAFETY", Stop::Filtered),
        ("RECITATION", Stop::Filtered),
        ("LANGUAGE", Stop::Filtered),
        ("BLOCKLIST", Stop::Filtered),
        ("PROHIBITED_CONTENT", Stop::Filtered),
        ("SPII", Stop::Filtered),
        ("IMAGE_SAFETY", Stop::Filtered),
        ("OTHER", Stop::Other("OTHER".to_owned())),
    ] {
        let answer = read(&json!({ "candidates": [{ "finishReason": reason }] })).unwrap();
        assert_eq!(answer.choices, [Choice { stop: Some(stop), ..Choice::default() }]);
    }
}

#[test]
fn a_call_that_is_none_is_no_answer() {
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"] {
        let body = json!({ "candidates": [{ "finishReason": reason }] });
        assert!(read(&body).is_err(), "{reason}");
        let event = sse::Event { data: body.to_string(), ..sse::Event::default() };
        assert!(StreamReader::new(request_id()).read(&event, &mut Vec::new()).is_err(), "{reason}");
    }
}

#[test]
fn calls_without_ids_get_some_that_are_unique() {
    let call = json!({ "functionCall": { "name": "now" } });
    let named = json!({ "functionCall": { "name": "now", "id": "x1", "args": {} } });
    let candidate = json!({ "content": { "parts": [call, named, call] }, "finishReason": "STOP" });
    let answer = read(&json!({ "candidates": [candidate, candidate] })).unwrap();
    let ids = |choice: &Choice| -> Vec<String> {
        let id = |part: &AssistantPart| match part {
            AssistantPart::ToolCall(call) => {
                assert_eq!(call.arguments, json!({}));
                call.id.clone()
            }
            _ => panic!("only calls"),
        };
        choice.parts.iter().map(id).collect()
    };
    let made = |number: u32| format!("call_{}_{number}", request_id().to_string().replace('-', ""));
    assert_eq!(ids(&answer.choices[0]), [made(0), "x1".to_owned(), made(1)]);
    assert_eq!(ids(&answer.choices[1]), [made(2), "x1".to_owned(), made(3)]);
    assert_eq!(answer.choices[0].stop, Some(Stop::ToolCalls));
}

#[test]
fn candidates_stand_by_their_index() {
    let candidate = |index: Value, text: &str| json!({ "index": index, "content": { "parts": [{ "text": text }] } });
    let answer = read(&json!({ "candidates": [candidate(json!(1), "b"), candidate(json!(0), "a")] })).unwrap();
    assert_eq!(answer.choices[0].parts, [AssistantPart::Text("a".to_owned())]);
    assert!(read(&json!({ "candidates": [candidate(json!(1), "b"), candidate(Value::Null, "a")] })).is_err());
}

#[test]
fn what_cannot_be_told_on_is_refused() {
    let part = |part: Value| json!({ "candidates": [{ "content": { "parts": [part] }, "finishReason": "STOP" }] });
    for body in [
        json!({}),
        json!({ "error": { "code": 500 } }),
        json!([]),
        part(json!({ "inlineData": { "mimeType": "image/png", "data": "AAAA" } })),
        part(json!({ "executableCode": { "language": "PYTHON", "code": "1" } })),
        part(json!({ "functionCall": { "name": "a", "args": [] } })),
        part(json!({ "functionCall": { "args": {} } })),
    ] {
        assert!(read(&body).is_err(), "{body}");
    }
    // Its signature alone is nothing that anybody reads.
    let answer = read(&part(json!({ "text": "", "thoughtSignature": "c2ln" }))).unwrap();
    assert_eq!(answer.choices[0].parts, []);
}

#[test]
fn a_stream_is_complete_when_all_that_began_has_ended() {
    let event = |index: u32, reason: Option<&str>| {
        let candidate = json!({ "index": index, "content": { "parts": [{ "text": "x" }] }, "finishReason": reason });
        format!("data: {}\n\n", json!({ "candidates": [candidate] }))
    };
    assert!(!read_stream("").1);
    assert!(!read_stream("data: {\"usageMetadata\":{\"promptTokenCount\":3}}\n\n").1);
    let both = event(0, None) + &event(1, Some("STOP"));
    assert!(!read_stream(&both).1);
    assert!(read_stream(&(both + &event(0, Some("STOP")))).1);
    // What more was said after was no reason.
    assert!(!read_stream(&(event(0, Some("STOP")) + &event(0, None))).1);
}

#[test]
fn a_reason_with_every_event_is_told_once_and_last() {
    let event = |part: Value| {
        let candidate = json!({ "index": 0, "content": { "parts": [part] }, "finishReason": "STOP" });
        format!("data: {}\n\n", json!({ "candidates": [candidate] }))
    };
    let call = json!({ "functionCall": { "name": "f", "id": "x" } });
    let body = event(json!({ "text": "a" })) + &event(json!({ "text": "b" })) + &event(call);
    let (deltas, complete) = read_stream(&body);
    assert!(complete);
    let stops: Vec<_> = (0..).zip(&deltas).filter(|(_, delta)| matches!(delta, Delta::Stop { .. })).collect();
    assert_eq!(stops, [(deltas.len() - 1, &Delta::Stop { choice: 0, stop: Stop::ToolCalls })]);
}
