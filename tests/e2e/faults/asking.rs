//! What a client that asks for an answer gets.

use goblin_tests::backend::Backend;
use reqwest::Response;
use serde_json::Value;

use super::{
    bench::{Peer, SPARE},
    speech::{Api, Speech, data, request},
};
use crate::client::{self, Events};

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In one piece.
    Whole,
    /// As a stream.
    Streamed,
}

impl Form {
    pub(super) const ALL: [Self; 2] = [Self::Whole, Self::Streamed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Streamed => "streamed",
        }
    }
}

/// What it comes to for the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// 200, and the answer of the first provider, complete.
    Answered,
    /// 200, and an answer of the first provider that is complete and says nothing, which never is right.
    Nothing,
    /// 200, and the answer of the spare, complete and with nothing of the first one's.
    BySpare,
    /// An error.
    Told { status: u16, code: String, retry_after: Option<u32> },
    /// 200 and the first content of the first provider, then an event with an error.
    BrokenOff { code: String },
}

/// A request that has come to its end.
pub(super) struct Asked {
    pub(super) end: End,
    /// Id of its trace.
    pub(super) trace: String,
}

/// What the fault server calls its model, and no other, where its answers pass.
const FAULTY_MODEL: &str = r#""model":"upstream""#;

/// All that providers that work say.
const TEXT: &str = "Hello from the upstream";

/// Asks for `model`, of which `peer` is the first that is called.
pub(super) async fn ask(backend: &Backend, peer: &Peer, model: &str) -> Asked {
    let api = peer.speech.api;
    let sending = client::post(backend.service(), api.path(), &request(model, peer.form)).send();
    let answer = sending.await.expect("an answer");
    let trace = client::trace_id(&answer);
    let end = match (answer.status().as_u16(), peer.form) {
        (200, Form::Whole) => whole(answer, peer).await,
        (200, Form::Streamed) => streamed(answer, peer).await,
        _ => told(answer, api).await,
    };
    Asked { end, trace }
}

/// Whether the spare answers, by what the head says; otherwise the first provider has to.
fn is_by_spare(answer: &Response, provider: &str) -> bool {
    let model = client::header(answer, "x-goblin-model").expect("who answers");
    assert!(model == SPARE || model.starts_with(&format!("{provider}/")), "{provider} was asked, and {model} answers");
    model == SPARE
}

async fn whole(answer: Response, peer: &Peer) -> End {
    let (by_spare, provider) = (is_by_spare(&answer, &peer.key), &peer.key);
    let body = answer.text().await.expect("a whole body");
    let answer: Value = serde_json::from_str(&body).expect("a whole answer");
    let text = peer.speech.api.text_of_whole(&answer).unwrap_or_default();
    if text.is_empty() {
        return End::Nothing;
    }
    if peer.speech == Speech::OPENAI {
        assert_eq!(by_spare, !body.contains(FAULTY_MODEL), "{provider}");
    }
    if by_spare {
        assert_eq!(text, TEXT, "{provider}");
        End::BySpare
    } else {
        End::Answered
    }
}

async fn streamed(answer: Response, peer: &Peer) -> End {
    let (by_spare, provider, api) = (is_by_spare(&answer, &peer.key), &peer.key, peer.speech.api);
    let request_id = client::header(&answer, "x-request-id").expect("an id");
    let (events, end) = Events::new(answer).rest().await;
    end.expect("an end in good order, whatever came before it");
    let last = events.last().expect("an event");
    let text = api.text_of_stream(&events);
    if api.is_end(last) {
        if text.is_empty() {
            return End::Nothing;
        }
        if peer.speech == Speech::OPENAI {
            let faulty = events.iter().filter(|event| event.contains(FAULTY_MODEL)).count();
            assert_eq!(by_spare, faulty == 0, "{provider}: {events:?}");
        }
        if by_spare {
            assert_eq!(text, TEXT, "{provider}");
            return End::BySpare;
        }
        return End::Answered;
    }
    assert!(!by_spare && text.starts_with("Hello"), "{provider}: {events:?}");
    let complete = |event: &String| api.is_end(event) || api.says_why(event);
    assert!(!events.iter().any(complete), "it looks complete: {events:?}");
    End::BrokenOff { code: api.code_of_error(data(last), &request_id) }
}

async fn told(answer: Response, api: Api) -> End {
    let retry_after = client::header(&answer, "retry-after").map(|seconds| seconds.parse().expect("seconds"));
    assert_eq!(client::header(&answer, "x-goblin-model"), None, "nobody answers");
    let (status, request_id) = (answer.status().as_u16(), client::header(&answer, "x-request-id").expect("an id"));
    let code = api.code_of_error(&answer.text().await.expect("a body"), &request_id);
    End::Told { status, code, retry_after }
}
