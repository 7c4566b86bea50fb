//! Streams of all families through the pipe, for clients of both APIs: what comes out does not depend on how it came in.

use goblin_shared::request_id::RequestId;

use super::*;
use crate::wire::fixtures::{self, STREAMS};

const APIS: [Api; 2] = [Api::ChatCompletions, Api::Messages];

fn pipe(api: Api, family: Family) -> Pipe {
    let request_id = RequestId::new(0, &[0; 10]);
    let prepared = Prepared {
        api,
        body: Bytes::new(),
        upstream_model: "m".to_owned(),
        include_usage: true,
        headers: Vec::new(),
        answer_options: AnswerOptions::default(),
        request_id,
    };
    Pipe::new(family, &prepared, Origin { request_id, created: 0, model: "m".to_owned() })
}

/// What comes of a body in pieces that is a whole answer.
fn through(api: Api, family: Family, pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut pipe = pipe(api, family);
    let mut out = Vec::new();
    for event in fixtures::events(pieces) {
        pipe.read(event, &mut out).unwrap();
        if out.contains(&StreamEvent::Done) {
            return out;
        }
    }
    assert!(pipe.finish(&mut out));
    out
}

#[test]
fn cuts_change_nothing() {
    for (family, name, bytes) in STREAMS {
        for api in APIS {
            let expected = through(api, *family, &[bytes]);
            assert_eq!(expected.last(), Some(&StreamEvent::Done), "{name}");
            for (variant, bytes) in fixtures::variants(bytes).iter().enumerate() {
                for pieces in fixtures::partitions(bytes) {
                    let told = format!("{name} for {api:?}, variant {variant}, {} pieces", pieces.len());
                    assert_eq!(through(api, *family, &pieces), expected, "{told}");
                }
            }
            for cut in 0..=bytes.len() {
                let (before, after) = bytes.split_at(cut);
                assert_eq!(through(api, *family, &[before, after]), expected, "{name} for {api:?}, cut at {cut}");
            }
        }
    }
}

#[test]
fn data_in_several_lines_says_the_same() {
    for (family, name, bytes) in STREAMS {
        for api in APIS {
            // What passes keeps its line feeds, which stand where JSON may have them.
            let joined = |event| match event {
                StreamEvent::Chunk(chunk) => {
                    StreamEvent::Chunk(Chunk { data: chunk.data.replace("\n,", ","), ..chunk })
                }
                event => event,
            };
            let lines: Vec<_> = through(api, *family, &[&fixtures::in_lines(bytes)]).into_iter().map(joined).collect();
            assert_eq!(lines, through(api, *family, &[bytes]), "{name} for {api:?}");
        }
    }
}

#[test]
fn a_long_event_comes_through_whole() {
    let long = "ä€x".repeat(180_000);
    for (family, event) in [
        (Family::OpenAi, format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{long}"}}}}]}}"#)),
        (
            Family::Anthropic,
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{long}"}}}}"#),
        ),
        (Family::Gemini, format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{long}"}}]}}}}]}}"#)),
    ] {
        let body = format!("data: {event}\n\n");
        assert!(body.len() > 1_000_000);
        for api in APIS {
            let (mut pipe, mut out) = (pipe(api, family), Vec::new());
            for event in fixtures::events(&body.as_bytes().chunks(1_021).collect::<Vec<_>>()) {
                pipe.read(event, &mut out).unwrap();
            }
            let whole = |event: &StreamEvent| matches!(event, StreamEvent::Chunk(chunk) if chunk.data.contains(&long));
            assert_eq!(out.iter().filter(|event| whole(event)).count(), 1, "{family:?} for {api:?}");
        }
    }
}

#[test]
fn a_body_that_was_cut_is_told_from_a_whole_one() {
    for (family, name, bytes) in STREAMS {
        for api in APIS {
            let whole = through(api, *family, &[bytes]);
            let mut complete_before_the_end = 0;
            for cut in 0..bytes.len() {
                let (mut pipe, mut out) = (pipe(api, *family), Vec::new());
                let read = fixtures::events(&[&bytes[..cut]]).into_iter().try_for_each(|event| {
                    let unended = event.unended;
                    pipe.read(event, &mut out).map_err(|_| assert!(unended, "{name} cut at {cut}"))
                });
                if read.is_ok() && (out.contains(&StreamEvent::Done) || pipe.finish(&mut out)) {
                    complete_before_the_end += 1;
                } else {
                    assert!(whole.starts_with(&out), "{name} for {api:?}, cut at {cut}");
                }
            }
            assert!(complete_before_the_end < bytes.len() / 2, "{name} for {api:?}: {complete_before_the_end}");
            assert!(!pipe(api, *family).finish(&mut Vec::new()));
        }
    }
}
