//! What the tests send and read, as a plain HTTP client would.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use goblin_tests::{edge::Edge, patience::patiently, stack::Stack};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Where requests go, and the API key that they carry. Made of a stack or an edge with its key; of an address, it is one
/// without a key.
#[derive(Clone)]
pub(crate) struct Door {
    address: SocketAddr,
    api_key: Option<String>,
}

impl Door {
    /// The door of an edge for a holder of `api_key`.
    pub(crate) fn with_key(edge: &Edge, api_key: &str) -> Self {
        Self::to(edge.address(), api_key)
    }

    /// The door at an address for a holder of `api_key`.
    pub(crate) fn to(address: SocketAddr, api_key: &str) -> Self {
        Self { address, api_key: Some(api_key.to_owned()) }
    }

    /// The URL of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl From<SocketAddr> for Door {
    fn from(address: SocketAddr) -> Self {
        Self { address, api_key: None }
    }
}

impl From<&Stack> for Door {
    fn from(stack: &Stack) -> Self {
        Self::with_key(&stack.edge, &stack.api_key)
    }
}

impl From<&Door> for Door {
    fn from(door: &Door) -> Self {
        door.clone()
    }
}

/// A request to a path of a server, with the body as JSON.
pub(crate) fn post(door: impl Into<Door>, path: &str, body: &Value) -> RequestBuilder {
    request(Method::POST, door, path).json(body)
}

/// A request without a body.
pub(crate) fn request(method: Method, door: impl Into<Door>, path: &str) -> RequestBuilder {
    // A connection of its own, so that no test waits for another's or hears of its end.
    request_by(&Client::new(), method, door, path)
}

/// A request without a body, over the connections of `client`. For those who send many.
pub(crate) fn request_by(client: &Client, method: Method, door: impl Into<Door>, path: &str) -> RequestBuilder {
    let Door { address, api_key } = door.into();
    let request = client.request(method, format!("http://{address}{path}"));
    match api_key {
        Some(key) => request.bearer_auth(key),
        None => request,
    }
}

/// A chat request to the edge.
pub(crate) async fn chat(door: impl Into<Door>, body: &Value) -> Response {
    post(door, "/v1/chat/completions", body).send().await.expect("an answer")
}

/// A path and query that no other request has, by which a test finds its own at an origin.
pub(crate) fn own_path() -> String {
    format!("/v1/models?of={}", uuid::Uuid::new_v4())
}

/// A body that the demo provider answers.
pub(crate) fn demo_chat(text: &str) -> Value {
    json!({"model": "goblin-demo", "messages": [{"role": "user", "content": text}]})
}

/// Status, code and request id of an error in OpenAI's shape; panics on any other shape.
pub(crate) async fn error(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let header = header(&response, "x-request-id").expect("x-request-id on an error");
    let text = response.text().await.expect("a body");
    let error = error_object(&text, &header);
    (status, error["code"].as_str().expect("a code").to_owned(), header)
}

/// The object `error` of an error's body; panics when its shape is not OpenAI's with the request id that is in the head.
pub(crate) fn error_object(body: &str, request_id: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"));
    let error = &body["error"];
    let keys: Vec<&String> = error.as_object().unwrap_or_else(|| panic!("no error in {body}")).keys().collect();
    for key in ["message", "type", "code", "param", "request_id"] {
        assert!(keys.iter().any(|present| *present == key), "{key} is missing in {body}");
    }
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert_eq!(error["request_id"], request_id, "the body's request id is the header's");
    error.clone()
}

/// A field of an answer's head.
pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().expect("a field of text").to_owned())
}

/// Trace id that `server-timing` names.
pub(crate) fn trace_id(response: &Response) -> String {
    let timing = header(response, "server-timing").expect("server-timing");
    let traceparent = timing.split("trace;desc=\"").nth(1).unwrap_or_else(|| panic!("no trace in {timing}"));
    traceparent[3..35].to_owned()
}

/// The events of a stream, as they come.
pub(crate) struct Events {
    response: Response,
    pending: String,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type").as_deref().map(|value| &value[..17]), Some("text/event-stream"));
        Self { response, pending: String::new() }
    }

    /// The next event's lines; `None` at the end of the stream, an error when the transfer breaks.
    pub(crate) async fn next(&mut self) -> reqwest::Result<Option<String>> {
        loop {
            if let Some(end) = self.pending.find("\n\n") {
                let rest = self.pending.split_off(end + 2);
                let event = std::mem::replace(&mut self.pending, rest);
                return Ok(Some(event.trim_end().to_owned()));
            }
            let chunk = patiently(self.response.chunk(), || format!("nothing came after {:?}", self.pending)).await?;
            let Some(chunk) = chunk else {
                assert_eq!(self.pending, "", "the stream ended within an event");
                return Ok(None);
            };
            self.pending.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }

    /// The data of the next event as JSON.
    pub(crate) async fn next_json(&mut self) -> Value {
        let event = self.next().await.expect("an event").expect("another event");
        let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("no data in {event:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}"))
    }

    /// All that is left, and how it ended.
    pub(crate) async fn rest(mut self) -> (Vec<String>, reqwest::Result<()>) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return (events, Ok(())),
                Err(error) => return (events, Err(error)),
            }
        }
    }
}

/// The text of a stream's chunks.
pub(crate) fn text(events: &[String]) -> String {
    let chunks = events.iter().filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok());
    chunks.filter_map(|chunk: Value| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// Time since 1970, as the product's own clocks have it.
#[expect(clippy::disallowed_methods, reason = "tests stand outside the product and have only the real clock")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}
