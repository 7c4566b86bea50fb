use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::{http_client, patience::patiently};

/// Long enough for a part of an answer on a busy machine, short enough to wait for none.
const SILENCE: Duration = Duration::from_millis(1_500);

/// For what comes sooner or later.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for the next part of what this fault gives.
fn patience(fault: Fault) -> Duration {
    let ends_in_silence =
        matches!(fault, Fault::ConnectTimeout | Fault::SlowHead | Fault::SlowFirstToken | Fault::SilenceBetweenTokens);
    if ends_in_silence { SILENCE } else { PATIENCE }
}

/// How an exchange went.
#[derive(Debug)]
enum Seen {
    NoHead(reqwest::Error),
    Silence { head: bool, body: Vec<u8> },
    Broken { status: u16, body: Vec<u8> },
    Whole { status: u16, body: Vec<u8> },
}

async fn call(server: &FaultServer, patience: Duration, family: Family, streams: bool) -> Seen {
    http_client::choose_cryptography();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let path = match (family, streams) {
        (Family::OpenAi, _) => "/chat/completions",
        (Family::Anthropic, _) => "/v1/messages",
        (Family::Gemini, true) => "/models/m:streamGenerateContent?alt=sse",
        (Family::Gemini, false) => "/models/m:generateContent",
    };
    let url = format!("{}{path}", server.base_url_of(family));
    let sending = client.post(url).json(&json!({"stream": streams})).send();
    let mut answer = match timeout(patience, sending).await {
        Err(_) => return Seen::Silence { head: false, body: Vec::new() },
        Ok(Err(error)) => return Seen::NoHead(error),
        Ok(Ok(answer)) => answer,
    };
    let (status, mut body) = (answer.status().as_u16(), Vec::new());
    loop {
        match timeout(patience, answer.chunk()).await {
            Err(_) => return Seen::Silence { head: true, body },
            Ok(Err(_)) => return Seen::Broken { status, body },
            Ok(Ok(None)) => return Seen::Whole { status, body },
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
        }
    }
}

fn said_something(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("Hello")
}

fn is_as_described(fault: Fault, streams: bool, seen: &Seen) -> bool {
    match (fault, seen) {
        (Fault::RefusedConnection | Fault::TlsFailure | Fault::UnknownHost, Seen::NoHead(error)) => error.is_connect(),
        (Fault::Reset | Fault::CutHead, Seen::NoHead(error)) => !error.is_connect(),
        (Fault::BadRequest, Seen::Whole { status, .. }) => *status == 400,
        (Fault::Unauthorized, Seen::Whole { status, .. }) => *status == 401,
        (Fault::Forbidden, Seen::Whole { status, .. }) => *status == 403,
        (Fault::RateLimited | Fault::RateLimitedWithRetryAfter, Seen::Whole { status, .. }) => *status == 429,
        (Fault::InternalError, Seen::Whole { status, .. }) => *status == 500,
        (Fault::Overloaded, Seen::Whole { status, .. }) => *status == 529,
        (Fault::ConnectTimeout | Fault::SlowHead, Seen::Silence { head, .. }) => !head,
        (Fault::SlowFirstToken, Seen::Silence { head, body }) => *head && !said_something(body),
        (Fault::SilenceBetweenTokens, Seen::Silence { head, body }) => {
            *head && (said_something(body) || !streams && !body.is_empty())
        }
        (Fault::CutBeforeContent, Seen::Broken { status, body }) => *status == 200 && !said_something(body),
        (Fault::CutInEvent, Seen::Whole { status, body }) => {
            *status == 200 && !body.ends_with(b"\n") && serde_json::from_slice::<Value>(body).is_err()
        }
        (Fault::NothingSaid, Seen::Whole { status, body }) => {
            *status == 200 && !body.is_empty() && !said_something(body)
        }
        (Fault::ReportedOverload | Fault::ReportedError | Fault::ReportedRejection, Seen::Whole { status, body }) => {
            *status == 200 && String::from_utf8_lossy(body).contains("a fault of the tests") && !said_something(body)
        }
        (Fault::CutAfterContent, Seen::Broken { status, body }) => *status == 200 && !body.is_empty(),
        (Fault::Garbage, Seen::Whole { status, body }) => {
            *status == 200 && serde_json::from_slice::<Value>(body).is_err()
        }
        (Fault::HugeLine, Seen::Whole { status, body }) => {
            let longest = body.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
            *status == 200 && longest.is_some_and(|longest| longest > 8 * 1024 * 1024)
        }
        (Fault::WrongContentType, Seen::Whole { status, body }) => *status == 200 && body.starts_with(b"<!doctype"),
        (Fault::Found, Seen::Whole { status, .. }) => *status == 302,
        (Fault::TemporaryRedirect, Seen::Whole { status, .. }) => *status == 307,
        (Fault::EmptyBody, Seen::Whole { status, body }) => *status == 200 && body.is_empty(),
        _ => false,
    }
}

/// Of all families, in one piece and as a stream.
async fn assert_is_as_described(fault: Fault) {
    for family in Family::ALL {
        for streams in [false, true] {
            let server = FaultServer::start(fault).await.unwrap();
            let seen = call(&server, patience(fault), family, streams).await;
            let name = fault.name();
            assert!(is_as_described(fault, streams, &seen), "{name}, {family:?}, stream: {streams}: {seen:?}");
            assert_eq!(server.requests(), usize::from(!fault.keeps_requests_out()), "{name}");
            assert_eq!(server.followed(), 0);
        }
    }
}

#[tokio::test]
async fn every_fault_is_as_described() {
    // At once: some of them wait.
    join_all(Fault::ALL.map(assert_is_as_described)).await;
}

#[tokio::test]
async fn those_who_follow_a_redirection_are_counted() {
    for fault in [Fault::Found, Fault::TemporaryRedirect] {
        let server = FaultServer::start(fault).await.unwrap();
        let url = format!("{}/chat/completions", server.base_url());
        // Nobody answers there.
        let following = tokio::spawn(http_client::new().post(url).json(&json!({})).send());
        let followed = async {
            while server.followed() == 0 {
                tokio::task::yield_now().await;
            }
        };
        patiently(followed, || "nobody followed".to_owned()).await;
        following.abort();
        assert_eq!((server.connections(), server.requests()), (1, 1));
    }
}

#[tokio::test]
async fn a_closed_port_opens() {
    let server = FaultServer::start(Fault::RefusedConnection).await.unwrap();
    let seen = call(&server, PATIENCE, Family::OpenAi, false).await;
    assert!(matches!(&seen, Seen::NoHead(error) if error.is_connect()), "{seen:?}");
    for _ in 0..2 {
        server.heal();
        let seen = call(&server, PATIENCE, Family::OpenAi, false).await;
        assert!(matches!(seen, Seen::Whole { status: 200, .. }), "{seen:?}");
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn it_heals_and_breaks_again() {
    let server = FaultServer::start(Fault::InternalError).await.unwrap();
    server.heal();
    for family in Family::ALL {
        for streams in [false, true] {
            let seen = call(&server, PATIENCE, family, streams).await;
            assert!(matches!(&seen, Seen::Whole { status: 200, body } if said_something(body)), "{seen:?}");
        }
    }
    server.break_with(Fault::Overloaded);
    let seen = call(&server, PATIENCE, Family::OpenAi, false).await;
    assert!(matches!(seen, Seen::Whole { status: 529, .. }), "{seen:?}");
    assert_eq!(server.requests(), 7);
}
