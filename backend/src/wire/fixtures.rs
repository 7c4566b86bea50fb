//! Streams as their formats' documentation has them, cut into pieces in all ways: what is read does not depend on it.

use goblin_shared::request_id::RequestId;

use super::{
    Unreadable, anthropic,
    family::Family,
    gemini,
    neutral::{AssistantPart, Delta, Stop},
    openai, sse,
    tests::together::put_together,
};

/// Family, name and bytes of each.
pub(crate) const STREAMS: &[(Family, &str, &[u8])] = &[
    (Family::OpenAi, "openai/text", include_bytes!("fixtures/openai/text.sse")),
    (Family::OpenAi, "openai/tools", include_bytes!("fixtures/openai/tools.sse")),
    (Family::OpenAi, "openai/reasoning", include_bytes!("fixtures/openai/reasoning.sse")),
    (Family::OpenAi, "openai/refusal", include_bytes!("fixtures/openai/refusal.sse")),
    (Family::Anthropic, "anthropic/text", include_bytes!("fixtures/anthropic/text.sse")),
    (Family::Anthropic, "anthropic/tools", include_bytes!("fixtures/anthropic/tools.sse")),
    (Family::Anthropic, "anthropic/thinking", include_bytes!("fixtures/anthropic/thinking.sse")),
    (Family::Anthropic, "anthropic/refusal", include_bytes!("fixtures/anthropic/refusal.sse")),
    (Family::Gemini, "gemini/text", include_bytes!("fixtures/gemini/text.sse")),
    (Family::Gemini, "gemini/thoughts_and_calls", include_bytes!("fixtures/gemini/thoughts_and_calls.sse")),
    (Family::Gemini, "gemini/blocked", include_bytes!("fixtures/gemini/blocked.sse")),
    (Family::Gemini, "gemini/signature_last", include_bytes!("fixtures/gemini/signature_last.sse")),
];

fn read_stream(family: Family, pieces: &[&[u8]]) -> Vec<Delta> {
    match family {
        Family::OpenAi => read(pieces, &mut openai::StreamReader::default(), openai::StreamReader::read),
        Family::Anthropic => read(pieces, &mut anthropic::StreamReader::default(), anthropic::StreamReader::read),
        Family::Gemini => {
            let mut reader = gemini::StreamReader::new(RequestId::new(0, &[0; 10]));
            let mut deltas = read(pieces, &mut reader, gemini::StreamReader::read);
            if reader.is_complete() {
                reader.finish(&mut deltas);
                deltas.push(Delta::Done);
            }
            deltas
        }
    }
}

/// Reads pieces with some reader.
fn read<R>(
    pieces: &[&[u8]],
    reader: &mut R,
    read: impl Fn(&mut R, &sse::Event, &mut Vec<Delta>) -> Result<(), Unreadable>,
) -> Vec<Delta> {
    let mut deltas = Vec::new();
    for event in &events(pieces) {
        read(reader, event, &mut deltas).unwrap();
    }
    deltas
}

/// The events of a stream that comes in pieces.
pub(crate) fn events(pieces: &[&[u8]]) -> Vec<sse::Event> {
    let mut parser = sse::Parser::default();
    let mut events: Vec<sse::Event> = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut events).unwrap();
    }
    events.extend(parser.finish());
    events
}

/// Ways to cut bytes: one by one, two by two from the first and from the second byte on, in threes, and not at all.
pub(crate) fn partitions(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut partitions: Vec<Vec<_>> = [1, 2, 3, bytes.len()].map(|size| bytes.chunks(size).collect()).into();
    let (first, rest) = bytes.split_at(1);
    partitions.push(std::iter::once(first).chain(rest.chunks(2)).collect());
    partitions
}

/// The same stream with data in several lines.
pub(crate) fn in_lines(bytes: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(bytes).unwrap();
    // Some are written with a space after commas.
    let comma = if text.contains(",\"") { ",\"" } else { ", \"" };
    text.replace(comma, &format!("\ndata: {comma}")).into_bytes()
}

/// The same stream with other line ends, with comments, without its last line feeds.
pub(crate) fn variants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = str::from_utf8(bytes).unwrap();
    vec![
        bytes.to_vec(),
        text.replace('\n', "\r\n").into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        text.replace("\n\n", "\n: keep-alive\n\n: another\n\n").into_bytes(),
        text.trim_end().as_bytes().to_vec(),
        format!("\u{feff}{text}").into_bytes(),
    ]
}

#[test]
fn cuts_change_nothing() {
    for (family, name, bytes) in STREAMS {
        let expected = read_stream(*family, &[bytes]);
        assert_eq!(expected.last(), Some(&Delta::Done), "{name}");
        for (variant, bytes) in variants(bytes).iter().enumerate() {
            for pieces in partitions(bytes) {
                assert_eq!(
                    read_stream(*family, &pieces),
                    expected,
                    "{name}, variant {variant}, {} pieces",
                    pieces.len()
                );
            }
            for cut in 0..=bytes.len() {
                let (before, after) = bytes.split_at(cut);
                assert_eq!(read_stream(*family, &[before, after]), expected, "{name}, variant {variant}, cut at {cut}");
            }
        }
    }
}

#[test]
fn data_may_stand_in_several_lines() {
    for (family, name, bytes) in STREAMS {
        let lines = in_lines(bytes);
        assert!(lines.len() > bytes.len(), "{name}");
        assert_eq!(read_stream(*family, &[&lines]), read_stream(*family, &[bytes]), "{name}");
    }
}

#[test]
fn an_event_of_a_megabyte_is_read() {
    let long = "ä€x".repeat(180_000);
    let openai = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n");
    let anthropic = format!(
        "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{long}\"}}}}\n\n"
    );
    let gemini = format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{long}\"}}]}}}}]}}\n\n");
    for (family, bytes) in [(Family::OpenAi, openai), (Family::Anthropic, anthropic), (Family::Gemini, gemini)] {
        assert!(bytes.len() > 1_000_000);
        let pieces: Vec<_> = bytes.as_bytes().chunks(1_021).collect();
        assert_eq!(read_stream(family, &pieces).last(), Some(&Delta::Text { choice: 0, text: long.clone() }));
    }
}

#[test]
fn fixtures_mean_what_they_say() {
    let answer = |name: &str| {
        let (family, _, bytes) = STREAMS.iter().find(|(_, stream, _)| *stream == name).unwrap();
        put_together(read_stream(*family, &[bytes]))
    };
    let text = answer("openai/text");
    assert_eq!(text.choices[0].parts, [AssistantPart::Text("Grüße, 世界 🦀".to_owned())]);
    assert_eq!(text.usage.unwrap().cached_tokens, Some(8));
    let tools = answer("openai/tools");
    let names = tools.choices[0].parts.iter().map(|part| match part {
        AssistantPart::ToolCall(call) => (call.id.as_str(), call.arguments.to_string()),
        _ => ("", String::new()),
    });
    assert!(names.eq([("call_a", r#"{"city":"Köln"}"#.to_owned()), ("call_b", "{}".to_owned())]));
    assert_eq!(tools.choices[0].stop, Some(Stop::ToolCalls));
    let signed = |text: &str| AssistantPart::Reasoning { text: text.to_owned(), signature: Some("c2ln".to_owned()) };
    for name in ["openai/reasoning", "anthropic/thinking"] {
        let answer = answer(name);
        let redacted = AssistantPart::RedactedReasoning("ZW5j".to_owned());
        assert_eq!(
            answer.choices[0].parts,
            [signed("Sechs mal sieben…"), redacted, AssistantPart::Text("42".to_owned())]
        );
        assert_eq!(answer.usage.unwrap().reasoning_tokens, Some(20), "{name}");
    }
    assert_eq!(answer("openai/refusal").choices[0].parts, [AssistantPart::Refusal("I can't help.".to_owned())]);
    assert_eq!(answer("anthropic/refusal").choices[0].stop, Some(Stop::Filtered));
    let text = answer("anthropic/text");
    assert_eq!(text.choices[0].stop, Some(Stop::Sequence(Some("END".to_owned()))));
    assert_eq!((text.usage.unwrap().prompt_tokens, text.usage.unwrap().completion_tokens), (11, 9));
}
