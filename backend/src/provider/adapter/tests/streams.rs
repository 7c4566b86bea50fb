use std::convert::Infallible;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;
use crate::ports::{AnswerFacts, UpstreamDetail};

const TEXT: &str =
    "data: {\"id\":\"a\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A body that the test sends piece by piece; `None` breaks the connection.
fn open_body() -> (Body, UnboundedSender<Option<&'static str>>) {
    let (sender, mut pieces) = unbounded_channel::<Option<&'static str>>();
    let stream = async_stream::stream! {
        while let Some(piece) = pieces.recv().await {
            yield piece.ok_or_else(|| std::io::Error::other("broken by the test"));
        }
    };
    (Body::from_stream(stream), sender)
}

fn streamed() -> ClientRequest {
    request(Api::ChatCompletions, r#"{"model":"m","stream":true}"#)
}

async fn events_of(request: &ClientRequest, body: impl Into<Body>) -> Vec<Result<StreamEvent, ProviderError>> {
    let upstream = Upstream::answering([response(200, "text/event-stream; charset=utf-8", body)]).await;
    let provider = upstream.provider(Family::OpenAi);
    provider.stream(call(&provider, request)).collect().await
}

async fn events(body: impl Into<Body>) -> Vec<Result<StreamEvent, ProviderError>> {
    events_of(&streamed(), body).await
}

#[tokio::test]
async fn chunks_come_one_by_one_with_their_text_unchanged() {
    let (body, sender) = open_body();
    let upstream = Upstream::answering([response(200, "text/event-stream", body)]).await;
    let provider = upstream.provider(Family::OpenAi);
    let mut stream = provider.stream(call(&provider, &streamed()));
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamEvent::Opened(Some(200)));
    let chunk = r#"{ "unknown":1.50, "choices":[{"index":0,"delta":{"content":"x"}}] }"#;
    for piece in [
        "data: { \"unknown\":1.50, \"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}] }\n\n",
        ": comment\n\ndata: { \"unknown\":1.50, \"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}] }\r\n\r\n",
    ] {
        sender.send(Some(piece)).unwrap();
        let event = stream.next().await.unwrap().unwrap();
        assert_eq!(event, StreamEvent::Chunk(Chunk { event: None, data: chunk.to_owned(), content: true }));
    }
    sender.send(Some(DONE)).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), StreamEvent::Done);
    assert!(stream.next().await.is_none());
    let (_, head, body) = upstream.asked(0);
    assert_eq!(body, r#"{"stream_options":{"include_usage":true},"model":"up/1","stream":true}"#);
    assert_eq!(head["accept"], "text/event-stream");
}

#[tokio::test]
async fn usage_is_learnt_always_and_told_to_those_who_asked() {
    let body = [TEXT, FINISH, USAGE, DONE].concat();
    let mut request = streamed();
    for include_usage in [false, true] {
        request.include_usage = include_usage;
        let events = events_of(&request, body.clone()).await;
        assert_eq!(chunks(&events).len(), if include_usage { 3 } else { 2 });
        let mut facts = AnswerFacts::default();
        for event in &events {
            if let Ok(StreamEvent::Learnt(news)) = event {
                facts.learn(news.clone());
            }
        }
        assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("a"), Some("m-1")));
        assert_eq!(facts.finish_reasons, ["stop"]);
        assert_eq!(facts.usage.map(|usage| usage.completion_tokens), Some(4));
        assert!(matches!(events.last(), Some(Ok(StreamEvent::Done))), "{events:?}");
    }
}

#[tokio::test]
async fn giving_up_a_stream_closes_the_connection() {
    let (body, sender) = open_body();
    let upstream = Upstream::answering([response(200, "text/event-stream", body)]).await;
    let provider = upstream.provider(Family::OpenAi);
    let mut stream = provider.stream(openai_call(&provider));
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    sender.closed().await;
}

#[tokio::test]
async fn ends_are_told_apart() {
    let ended = events(format!("{TEXT}data: [DONE]")).await;
    assert!(matches!(ended.last(), Some(Ok(StreamEvent::Done))), "{ended:?}");
    let nothing = events(DONE).await;
    assert!(matches!(nothing.as_slice(), [Ok(StreamEvent::Opened(_)), Err(ProviderError::Cut)]), "{nothing:?}");
    for half in ["data: {\"id\":\"a\"", "data: {\"id\":\"a\"\n", "data: {\"choices\":[{\"index\":0,\"del"] {
        let cut = events(format!("{TEXT}{half}")).await;
        assert_eq!(chunks(&cut).len(), 1);
        assert!(matches!(cut.last(), Some(Err(ProviderError::Cut))), "{half}: {cut:?}");
    }
    let cut = events(TEXT).await;
    assert_eq!(chunks(&cut).len(), 1);
    assert!(matches!(cut.last(), Some(Err(ProviderError::Cut))), "{cut:?}");

    let (body, sender) = open_body();
    sender.send(Some(TEXT)).unwrap();
    sender.send(None).unwrap();
    let broken = events(body).await;
    assert!(matches!(broken.last(), Some(Err(ProviderError::Broken(_)))), "{broken:?}");

    let reported = events("data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n").await;
    let expected = UpstreamDetail { kind: Some("server_error".to_owned()), ..UpstreamDetail::default() };
    let Some(Err(ProviderError::Reported { overloaded: false, detail })) = reported.last() else {
        panic!("{reported:?}")
    };
    assert_eq!(*detail, expected);
}

#[tokio::test]
async fn an_end_that_nobody_told_the_reason_of_is_a_cut() {
    let translated = request(
        Api::Messages,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true}"#,
    );
    let told = events_of(&translated, format!("{TEXT}{FINISH}{DONE}")).await;
    assert!(matches!(told.last(), Some(Ok(StreamEvent::Done))), "{told:?}");
    for body in [format!("{TEXT}{DONE}"), DONE.to_owned()] {
        let events = events_of(&translated, body).await;
        assert!(matches!(events.last(), Some(Err(ProviderError::Cut))), "{events:?}");
    }
    let start = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\"}}\n\n";
    let delta = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    let stop = "data: {\"type\":\"message_stop\"}\n\n";
    let chat =
        request(Api::ChatCompletions, r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#);
    for (request, body, complete) in [
        (&translated, [start, delta, stop].concat(), true),
        (&translated, [start, delta].concat(), false),
        (&translated, stop.to_owned(), false),
        (&chat, [start, delta].concat(), true),
        (&chat, [start, stop].concat(), false),
    ] {
        let upstream = Upstream::answering([response(200, "text/event-stream", body.clone())]).await;
        let provider = upstream.provider(Family::Anthropic);
        let events: Vec<_> = provider.stream(call(&provider, request)).collect().await;
        match events.last() {
            Some(Ok(StreamEvent::Done)) => assert!(complete, "{body}"),
            Some(Err(ProviderError::Cut)) => assert!(!complete, "{body}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_stream_is_garbage() {
    for (content_type, body) in [
        ("application/json", "{}".to_owned()),
        ("text/html", TEXT.to_owned()),
        ("text/event-stream", "data: {\n\n".to_owned()),
        ("text/event-stream", format!("data: {}", "x".repeat(9 * 1024 * 1024))),
    ] {
        let upstream = Upstream::answering([response(200, content_type, body)]).await;
        let provider = upstream.provider(Family::OpenAi);
        let events: Vec<_> = provider.stream(openai_call(&provider)).collect().await;
        assert!(matches!(events.first(), Some(Ok(StreamEvent::Opened(Some(200))))));
        assert!(matches!(events.last(), Some(Err(ProviderError::Garbage(_)))), "{content_type}: {:?}", events.last());
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    // One address a connection: the second request tells whether it came by the first one's.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peers = Arc::new(Mutex::new(Vec::new()));
    let answer = |State(peers): State<Arc<Mutex<Vec<_>>>>,
                  axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<std::net::SocketAddr>| async move {
        peers.lock().unwrap().push(peer);
        let pieces = [TEXT, DONE].map(Ok::<_, Infallible>);
        response(200, "text/event-stream", Body::from_stream(futures_util::stream::iter(pieces)))
    };
    let service = Router::new().fallback(answer).with_state(peers.clone());
    let service = service.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let provider = Upstream { address, seen: Seen::default() }.provider(Family::OpenAi);
    // The end of a body may arrive after its last event: then a connection is given back a moment later.
    for _ in 0..20 {
        let events = provider.stream(openai_call(&provider)).collect::<Vec<_>>().await;
        assert!(matches!(events.last(), Some(Ok(StreamEvent::Done))), "{events:?}");
    }
    let peers = peers.lock().unwrap();
    let different = peers.iter().collect::<std::collections::HashSet<_>>().len();
    assert!(different < peers.len(), "{different} connections for {} requests", peers.len());
}
