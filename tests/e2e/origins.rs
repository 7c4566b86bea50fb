//! Several backends behind one edge: who is tried when another cannot be reached.

use futures_util::{StreamExt as _, stream};
use goblin_tests::{
    api_key::mint_api_key,
    backend::BackendOptions,
    edge::{Edge, EdgeOptions},
    origin::{Origin, OriginAnswer},
    otlp_sink::{SpanKind, dump},
    secret, signing_key,
    stack::{OtlpTarget, start_backend},
};
use http::{HeaderMap, StatusCode};
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

use crate::{
    answered::{Answered, send},
    client::{self, Door},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
    watched_edge::{UNLIMITED, WatchedEdge},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        when_one_of_two_backends_is_killed_every_request_is_answered,
        an_answer_whatever_it_says_is_not_tried_again,
        when_nobody_can_be_reached_each_is_tried_once,
        an_answer_that_stalls_behind_its_head_is_given_up,
    );
}

const CHAT: &str = "/v1/chat/completions";

/// So many chat requests, some at a time; each answer is counted.
async fn many(door: &Door, count: usize, answered: &watch::Sender<usize>) -> Vec<Answered> {
    let connection = Client::new();
    let request = |_| async {
        let request = client::request_by(&connection, reqwest::Method::POST, door, CHAT);
        let answer = send(request.json(&client::demo_chat("Hello"))).await;
        answered.send_modify(|answered| *answered += 1);
        answer
    };
    stream::iter(0..count).map(request).buffer_unordered(8).collect().await
}

async fn when_one_of_two_backends_is_killed_every_request_is_answered(shared: &SharedStack) {
    let (key, issuer) = (signing_key::fresh("two").unwrap(), secret::fresh().unwrap());
    let otlp = OtlpTarget { endpoint: shared.sink.grpc_endpoint(), protocol: "grpc" };
    let backend = |name: &str| {
        let env = [("OTEL_SERVICE_NAME", name), ("GOBLIN_AUTH__MODE", "off")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        start_backend(&key, None, Some(&otlp), BackendOptions { env, ..BackendOptions::default() })
    };
    let (first, second) = (backend("first").await.unwrap(), backend("second").await.unwrap());
    let mut vars = vec![
        ("BACKEND_ORIGIN".to_owned(), format!("http://{}", first.service())),
        ("BACKEND_OTHER_ORIGINS".to_owned(), format!("http://{}", second.service())),
        ("EDGE_SIGNING_KEY".to_owned(), key.clone()),
        ("API_KEY_ISSUER_SECRETS".to_owned(), issuer.clone()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), shared.sink.http_endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "200".to_owned()),
    ];
    vars.extend(UNLIMITED.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let edge = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await.unwrap();
    let door = Door::with_key(&edge, &mint_api_key(&issuer).await.unwrap());

    let (answered, mut answers) = watch::channel(0);
    many(&door, 20, &answered).await.iter().for_each(Answered::assert_served);
    // In the midst of requests: what the first has begun may break off, and nothing else may happen.
    let killed = async {
        answers.wait_for(|answered| *answered >= 70).await.unwrap();
        first.kill().await;
    };
    let (during, ()) = tokio::join!(many(&door, 200, &answered), killed);
    for answer in &during {
        let broke_off = answer.status == 502 && answer.body.contains("backend_broke_off");
        assert!(answer.status == 200 || broke_off, "{answer:?}");
    }
    let after = many(&door, 100, &answered).await;
    after.iter().for_each(Answered::assert_served);

    let trace = &after[99].trace;
    let spans = shared.sink.wait_for_spans(trace, |spans| spans.len() == 5).await;
    let text = dump(&spans);
    let server = |service: &str| {
        let is_it = |span: &&goblin_tests::otlp_sink::Span| span.service == service && span.kind == SpanKind::Server;
        spans.iter().find(is_it).unwrap_or_else(|| panic!("{service}:\n{text}"))
    };
    let edges = server("goblin-edge");
    let mut attempts: Vec<_> = spans.iter().filter(|span| span.parent_span_id == edges.span_id).collect();
    attempts.sort_by_key(|span| span.attributes.contains_key("http.request.resend_count"));
    assert_eq!(attempts.len(), 2, "{text}");
    assert_eq!(attempts[0].attributes["error.type"], "backend_unreachable", "{text}");
    assert_eq!(attempts[1].attributes["http.request.resend_count"], 1, "{text}");
    let backends = server("second");
    assert_eq!(backends.parent_span_id, attempts[1].span_id, "the parent is the attempt that arrived:\n{text}");
    let id = after[99].header("x-request-id").unwrap();
    assert_eq!(
        (&edges.attributes["goblin.request.id"], &backends.attributes["goblin.request.id"]),
        (&id.as_str().into(), &id.as_str().into())
    );
    edge.terminate().await;
    second.kill().await;
}

/// An edge whose other origin is `other`.
async fn before(shared: &SharedStack, other: &str) -> WatchedEdge {
    WatchedEdge::start(&shared.sink, &[("BACKEND_OTHER_ORIGINS", other)]).await.unwrap()
}

async fn an_answer_whatever_it_says_is_not_tried_again(shared: &SharedStack) {
    let other = Origin::start().await.unwrap();
    let edge = before(shared, &other.url()).await;
    let answer = |status: StatusCode| OriginAnswer::Whole { status, headers: HeaderMap::new(), body: "{}".into() };
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        edge.origin.order(CHAT, answer(status));
        assert_eq!(send(client::post(&edge, CHAT, &client::demo_chat("Hello"))).await.status, status.as_u16());
    }
    // A status that Cloudflare uses for origins that it cannot reach.
    edge.origin.order(CHAT, answer(StatusCode::from_u16(521).unwrap()));
    send(client::post(&edge, CHAT, &client::demo_chat("Hello"))).await.assert_served();
    let attempts: Vec<String> =
        other.requests().iter().filter_map(|request| request.header("x-goblin-attempt").map(str::to_owned)).collect();
    assert_eq!(attempts, ["2"], "signed anew, under the number of the attempt");
    edge.edge.terminate().await;
}

async fn when_nobody_can_be_reached_each_is_tried_once(shared: &SharedStack) {
    let (gone, hanging_up) = (Origin::start().await.unwrap(), Origin::start().await.unwrap());
    hanging_up.order(CHAT, OriginAnswer::HangUp);
    let others = format!("{},{}", gone.url(), hanging_up.url());
    drop(gone);
    let edge = before(shared, &others).await;
    edge.origin.order(CHAT, OriginAnswer::HangUp);
    let answer = send(client::post(&edge, CHAT, &client::demo_chat("Hello"))).await;
    answer.assert_error(503, "backend_unreachable");
    assert!(answer.header("retry-after").is_some());
    let spans = shared.sink.wait_for_spans(&answer.trace, |spans| spans.len() == 4).await;
    let attempts: Vec<_> = spans.iter().filter(|span| span.kind == SpanKind::Client).collect();
    assert_eq!(attempts.len(), 3, "{}", dump(&spans));
    let seen = [&edge.origin, &hanging_up].map(|origin| {
        let chats = origin.requests().into_iter().filter(|request| request.uri == CHAT);
        chats.map(|request| request.header("x-goblin-attempt").unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(seen, [vec!["1".to_owned()], vec!["3".to_owned()]]);
    edge.edge.terminate().await;
}

async fn an_answer_that_stalls_behind_its_head_is_given_up(shared: &SharedStack) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stalling = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(5).any(|bytes| bytes == b"Hello")
                && connection.read_buf(&mut request).await.unwrap() > 0
            {}
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 300\r\n\r\n{";
            connection.write_all(head.as_bytes()).await.unwrap();
            // Kept open.
            connections.push(connection);
        }
    });
    let vars = [("BACKEND_ORIGIN", url.as_str()), ("BACKEND_FIRST_BYTE_TIMEOUT_MS", "1500")];
    let edge = WatchedEdge::start(&shared.sink, &vars).await.unwrap();
    let answer = send(client::post(&edge, CHAT, &client::demo_chat("Hello"))).await;
    answer.assert_error(502, "backend_broke_off");
    edge.edge.terminate().await;
    stalling.abort();
}
