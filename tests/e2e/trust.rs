//! The backend believes the edge and nobody else.

use std::time::Duration;

use goblin_shared::{
    edge_signature::{SignedHead, SigningKey},
    headers::{GOBLIN_ATTEMPT, GOBLIN_CLIENT, GOBLIN_EDGE_SIGNATURE, GOBLIN_REQUEST_ID, GOBLIN_ROUTE, TRACEPARENT},
    request_id::RequestId,
};
use goblin_tests::{
    edge::{Edge, EdgeOptions},
    http_peer::ReceivedRequest,
    signing_key,
};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::{self, Door},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        requests_that_skip_the_edge_are_refused,
        a_genuine_signature_is_believed_once,
        wrong_old_and_altered_signatures_are_refused,
        a_clients_own_goblin_fields_never_reach_the_backend,
        a_slow_upload_is_signed_when_it_goes_on,
        an_edge_with_another_key_is_the_operators_fault_under_one_request_id,
    );
}

const CHAT: &str = "/v1/chat/completions";
const ROUTE: &str = "\"demo/goblin-demo\";v=\"2026-11-23\"";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A request as the edge would sign it, and as somebody may have changed it afterwards.
struct Forgery {
    request_id: String,
    attempt: &'static str,
    route: &'static str,
    age_seconds: i64,
    signed_route: &'static str,
    key: SigningKey,
}

impl Forgery {
    fn genuine(shared: &SharedStack) -> Self {
        let random = *uuid::Uuid::new_v4().as_bytes();
        let now = client::now();
        let request_id = RequestId::new(u64::try_from(now.as_millis()).unwrap(), &random[..10].try_into().unwrap());
        let key = shared.stack.signing_key.parse().unwrap();
        Self {
            request_id: request_id.to_string(),
            attempt: "1",
            route: ROUTE,
            age_seconds: 0,
            signed_route: ROUTE,
            key,
        }
    }

    fn signature(&self) -> String {
        let now = client::now().as_secs();
        SignedHead {
            method: "POST",
            path_and_query: CHAT,
            request_id: &self.request_id,
            attempt: self.attempt,
            route: self.signed_route,
            client: "",
            traceparent: TRACE,
        }
        .sign(&self.key, now.checked_add_signed(-self.age_seconds).unwrap())
    }

    async fn send(&self, shared: &SharedStack) -> Response {
        let request = client::post(shared.backend(), CHAT, &client::demo_chat("Let me in"));
        let request = request
            .header(GOBLIN_REQUEST_ID, &self.request_id)
            .header(GOBLIN_ATTEMPT, self.attempt)
            .header(GOBLIN_ROUTE, self.route)
            .header(TRACEPARENT, TRACE)
            .header(GOBLIN_EDGE_SIGNATURE, self.signature());
        request.send().await.unwrap()
    }
}

async fn assert_refused(answer: Response) {
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (403, "edge_signature_invalid"));
}

async fn requests_that_skip_the_edge_are_refused(shared: &SharedStack) {
    let backend = shared.backend();
    assert_refused(client::post(backend, CHAT, &client::demo_chat("Hello")).send().await.unwrap()).await;
    assert_refused(client::request(Method::GET, backend, "/v1/models").send().await.unwrap()).await;
    for signature in ["", "v1", "v1;k=test;t=1;h=00"] {
        let request = client::post(backend, CHAT, &client::demo_chat("Hello"));
        assert_refused(request.header(GOBLIN_EDGE_SIGNATURE, signature).send().await.unwrap()).await;
    }
    // What asks only whether it is alive needs no signature.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client::request(Method::GET, backend, path).send().await.unwrap().status(), 200, "{path}");
    }
}

async fn a_genuine_signature_is_believed_once(shared: &SharedStack) {
    let genuine = Forgery::genuine(shared);
    assert_eq!(genuine.send(shared).await.status(), 200);
    assert_refused(genuine.send(shared).await).await;
    // The same request tried at another origin is another attempt, with a signature of its own. It is believed, but this
    // one was taken on already, and nobody pays twice.
    let next = Forgery { attempt: "2", ..genuine };
    let (status, code, _) = client::error(next.send(shared).await).await;
    assert_eq!((status, code.as_str()), (409, "already_claimed"));
}

async fn wrong_old_and_altered_signatures_are_refused(shared: &SharedStack) {
    let id = shared.stack.signing_key.split(':').next().unwrap();
    let stranger: SigningKey = format!("{id}:{}", "0".repeat(64)).parse().unwrap();
    assert_refused(Forgery { key: stranger, ..Forgery::genuine(shared) }.send(shared).await).await;
    for age_seconds in [70, -70] {
        assert_refused(Forgery { age_seconds, ..Forgery::genuine(shared) }.send(shared).await).await;
    }
    let route = "\"openai/gpt-4o-mini\";v=\"2026-11-23\"";
    assert_refused(Forgery { route, ..Forgery::genuine(shared) }.send(shared).await).await;
}

async fn a_clients_own_goblin_fields_never_reach_the_backend(shared: &SharedStack) {
    let strict = shared.strict().await;
    let request = client::request(Method::GET, strict, "/v1/models?forged=1")
        .header("x-goblin-request-id", "forged")
        .header("X-Goblin-Route", "\"openai/gpt-4.1\";v=\"1\"")
        .header("x-goblin-edge-signature", "v1;k=test;t=1;h=00")
        .header("x-goblin-attempt", "9")
        .header("x-goblin-client", "country=\"XX\"")
        .header("x-goblin-anything-else", "forged")
        .header("x-request-id", "mine")
        .header("traceparent", TRACE)
        .header("tracestate", "vendor=1");
    strict.origin.order("/v1/models", goblin_tests::origin::OriginAnswer::Hang);
    drop(request.send().await.unwrap());
    let received = strict.origin.wait_for_request(|request| request.uri.query() == Some("forged=1")).await;
    for (name, value) in &received.headers {
        let value = value.to_str().unwrap();
        let ours = name.as_str().starts_with("x-goblin-");
        assert!(!ours || !["forged", "9", "country=\"XX\"", "v1;k=test;t=1;h=00"].contains(&value), "{name}: {value}");
    }
    assert_eq!(received.header("x-goblin-anything-else"), None);
    assert_eq!(received.header(GOBLIN_ROUTE), None, "there is no plan for a list of models");
    assert_eq!(received.header("tracestate"), Some("vendor=1"));
    assert_eq!(received.header("x-request-id"), Some("mine"));
    assert_vouched(&received, strict);
}

/// The edge signed what it added.
pub(crate) fn assert_vouched(received: &ReceivedRequest, edge: &WatchedEdge) {
    let (request_id, attempt) = (received.header(GOBLIN_REQUEST_ID).unwrap(), received.header(GOBLIN_ATTEMPT).unwrap());
    request_id.parse::<RequestId>().unwrap();
    let signed = SignedHead {
        method: received.method.as_str(),
        path_and_query: &received.uri.to_string(),
        request_id,
        attempt,
        route: received.header(GOBLIN_ROUTE).unwrap_or_default(),
        client: received.header(GOBLIN_CLIENT).unwrap_or_default(),
        traceparent: received.header(TRACEPARENT).unwrap(),
    };
    let now = client::now().as_secs();
    let keys = [edge.signing_key.parse().unwrap()];
    signed.verify(received.header(GOBLIN_EDGE_SIGNATURE).unwrap(), &keys, now, 60).unwrap();
}

async fn a_slow_upload_is_signed_when_it_goes_on(shared: &SharedStack) {
    let strict = shared.strict().await;
    let mut stream = TcpStream::connect(strict.edge.address()).await.unwrap();
    let body = client::demo_chat("slowly").to_string();
    let head = format!(
        "POST {CHAT}?slowly=1 HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        strict.api_key,
        body.len()
    );
    let (first, rest) = body.split_at(10);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // Signatures count whole seconds: the rest comes two of them later.
    let begun = client::now().as_secs();
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while client::now().as_secs() < begun + 2 {
        look.tick().await;
    }
    stream.write_all(rest.as_bytes()).await.unwrap();
    let received = strict.origin.wait_for_request(|request| request.uri.query() == Some("slowly=1")).await;
    let signature = received.header(GOBLIN_EDGE_SIGNATURE).unwrap();
    let time = signature.split(";t=").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert!(time.parse::<u64>().unwrap() >= begun + 2, "signed before the upload was over: {signature}");
}

async fn an_edge_with_another_key_is_the_operators_fault_under_one_request_id(shared: &SharedStack) {
    let key = signing_key::fresh("test").unwrap();
    let vars = [
        ("BACKEND_ORIGIN", format!("http://{}", shared.backend())),
        ("EDGE_SIGNING_KEY", key),
        ("API_KEY_ISSUER_SECRETS", shared.stack.issuer_secret.clone()),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let edge = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await.unwrap();
    let answer = client::chat(Door::with_key(&edge, &shared.stack.api_key), &client::demo_chat("Hello")).await;
    // The ids of head and body are compared in there.
    let (status, code, request_id) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (500, "misconfigured"), "a client cannot help it");
    let told = |line: &str| (line.contains(&request_id) && line.contains("EDGE_SIGNING_KEY")).then_some(());
    edge.process().wait_for_line(Duration::from_secs(30), told).await.unwrap();
    let is_refusal = |line: &Value| line["request_id"] == request_id.as_str() && line["cause"].is_string();
    let line = shared.stack.backend.wait_for_log(is_refusal).await.unwrap();
    assert!(line["cause"].as_str().unwrap().contains("mismatch"), "{line}");
    edge.terminate().await;
}
