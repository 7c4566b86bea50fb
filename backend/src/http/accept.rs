//! The first and the last to see a request: its id, its span, what every answer carries, its line in the log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use goblin_shared::{
    api::Api,
    baggage::Baggage,
    headers::{
        ANTHROPIC_REQUEST_ID, BAGGAGE, GOBLIN_MODEL, GOBLIN_REQUEST_ID, REQUEST_ID, SERVER_TIMING, TRACEPARENT,
        TRACESTATE,
    },
    request_id::RequestId,
    server_timing::ServerTiming,
    trace_context::{Formats, TraceContext},
};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{HOST, USER_AGENT},
    request::Parts,
    uri::Authority,
};
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{
    answer_body::{AnswerBody, Ending},
    chat_progress::ChatProgress,
    edge_gate::{Admission, Audience, EdgeGate, Refusal},
    errors, health,
    places::Place,
    request_context::{LateFailure, RequestContext},
};
use crate::{
    monitoring::{self, metrics::Metrics},
    ports::{Ids, Onward},
};

/// Most characters of a client's text in spans and logs.
const CLIENT_TEXT: usize = 256;

/// What acceptance works with.
pub(crate) struct Acceptance {
    /// Judges the edge's signature.
    pub(crate) gate: EdgeGate,
    /// Gives ids to requests that have none we believe.
    pub(crate) ids: Arc<dyn Ids>,
    /// Counts requests.
    pub(crate) metrics: Metrics,
    /// The forms in which callers that come without an edge may name their traces.
    pub(crate) formats: Formats,
}

/// How long the provider took up to the head of the answer; told by the handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProviderTime(pub(super) Duration);

/// The outermost layer.
pub(super) async fn accept(State(acceptance): State<Arc<Acceptance>>, request: Request, next: Next) -> Response {
    let received = Instant::now();
    let (mut head, body) = request.into_parts();
    let route = head.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let is_probe = route.as_deref().is_some_and(health::is_probe);
    let audience = route.as_deref().map_or(Audience::AsConfigured, health::audience);
    let admission = acceptance.gate.admit(&head, audience);
    let (request_id, through_edge) = match &admission {
        Admission::Edge(edge) => (edge.request_id, true),
        // Not believed, but told back: where edge and backend have different keys, the client's error, the edge's head
        // and this log name the same request. A replay gets an id of its own, as it is another request.
        Admission::Refused(Refusal::Signature(_)) => {
            (claimed_id(&head.headers).unwrap_or_else(|| acceptance.ids.request_id()), false)
        }
        Admission::Refused(_) | Admission::Anybody => (acceptance.ids.request_id(), false),
    };

    let span = server_span(&head, route.as_deref(), request_id);
    let caller = caller(&head.headers, through_edge, &acceptance.formats);
    if let Some(caller) = &caller {
        monitoring::tracing::continue_trace(&span, caller);
    }
    // An id that is made here is random.
    let random_trace_id = caller.as_ref().is_none_or(|caller| caller.parent.flags.random);
    let own = monitoring::tracing::traceparent(&span, random_trace_id);
    let onward = onward(&head.headers, caller.as_ref(), through_edge || acceptance.formats.hand_on_baggage());

    let late_failure = LateFailure::default();
    let progress = ChatProgress::new(received, acceptance.metrics.clone());
    // From here on, dropping this future means that the client has left.
    let mut ending = Ending {
        span: span.clone(),
        received,
        method: known_method(&head.method).to_owned(),
        route,
        client_request_id: client_text(&head.headers, REQUEST_ID),
        is_probe,
        late_failure: late_failure.clone(),
        progress: progress.clone(),
        metrics: acceptance.metrics.clone(),
        status: None,
        answered_by: None,
        code: None,
        ended: false,
    };
    head.extensions.insert(RequestContext { request_id, admission, random_trace_id, onward, late_failure, progress });
    let is_head = head.method == Method::HEAD;
    // The shape of errors; that of a path which is nobody's is OpenAI's.
    let api = Api::of_path(head.uri.path()).unwrap_or_default();
    let response = next.run(Request::from_parts(head, body)).instrument(span.clone()).await;
    let (mut response, code) = span.in_scope(|| errors::render(response, api, request_id));
    drop(span);

    let mut timing = ServerTiming::default();
    if let Some(own) = own.filter(|_| !through_edge) {
        timing = timing.trace(&own);
    }
    timing = timing.duration("backend", millis(received.elapsed()));
    if let Some(ProviderTime(time)) = response.extensions_mut().remove::<ProviderTime>() {
        timing = timing.duration("provider", millis(time));
    }
    let headers = response.headers_mut();
    // Anthropic's SDKs look for the id under a name of their own.
    let anthropics = (api == Api::Messages).then(|| (ANTHROPIC_REQUEST_ID, request_id.to_string()));
    let ours = [(REQUEST_ID, request_id.to_string()), (SERVER_TIMING, timing.into_value())];
    for (name, value) in ours.into_iter().chain(anthropics) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    ending.answered_by = response.headers().get(GOBLIN_MODEL).and_then(|by| by.to_str().ok()).map(str::to_owned);
    ending.answered(response.status().as_u16(), code);
    let place = response.extensions_mut().remove::<Arc<Place>>();
    response.map(|body| {
        // The answer to HEAD has a body that is never sent, so that it would seem cancelled.
        let body = if is_head { Body::empty() } else { body };
        Body::new(AnswerBody::new(body, ending, place))
    })
}

/// The SERVER span. Its attributes are OpenTelemetry's for HTTP, besides ours; none says who the client is.
fn server_span(head: &Parts, route: Option<&str>, request_id: RequestId) -> Span {
    let method = known_method(&head.method);
    let name = if method == OTHER_METHOD { "HTTP" } else { method };
    let name = route.map_or_else(|| name.to_owned(), |route| format!("{name} {route}"));
    let host = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        // An unknown path may hold anything, and is left out, as at the edge.
        url.path = route,
        url.scheme = "http",
        // A client can write into it what it likes.
        server.address = host.as_ref().map(|host| monitoring::redact(host.host())).as_deref(),
        server.port = host.as_ref().and_then(Authority::port_u16).map(i64::from),
        user_agent.original = client_text(&head.headers, USER_AGENT.as_str()),
        error.type = Empty,
        goblin.request.id = request_id.to_string(),
        goblin.outcome = Empty,
        goblin.auth.method = Empty,
        goblin.auth.outcome = Empty,
        goblin.plan.dropped = Empty,
    )
}

/// The id that an unbelieved request says it has, if it is one.
fn claimed_id(headers: &HeaderMap) -> Option<RequestId> {
    headers.get(GOBLIN_REQUEST_ID)?.to_str().ok()?.parse().ok()
}

const OTHER_METHOD: &str = "_OTHER";

/// The method, if it is one of HTTP's: any other text could be one, and the set of names must stay small.
fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT" | "TRACE") => known,
        _ => OTHER_METHOD,
    }
}

/// The trace to continue.
///
/// Only the edge's sampled flag is believed. A stranger's could hide requests: all of them are recorded, and the
/// Collector decides what is kept, as at the edge.
fn caller(headers: &HeaderMap, through_edge: bool, formats: &Formats) -> Option<TraceContext> {
    // What is no text must not be passed over: two fields of which one is unreadable are two fields.
    let occurrences = |name: &str| {
        let values = headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap_or("\u{fffd}")).collect::<Vec<_>>()
    };
    // The edge has one form of its own. What else stands beside it is the client's, which it has read already.
    let mut context = if through_edge {
        TraceContext::extract(occurrences(TRACEPARENT), occurrences(TRACESTATE))?
    } else {
        formats.extract(occurrences)?
    };
    context.parent.flags.sampled |= !through_edge;
    Some(context)
}

/// What the caller hands along with the trace. What the edge lets pass is handed on here too.
fn onward(headers: &HeaderMap, caller: Option<&TraceContext>, with_baggage: bool) -> Option<Arc<Onward>> {
    let fields = headers.get_all(BAGGAGE).iter().filter(|_| with_baggage).filter_map(|value| value.to_str().ok());
    let baggage = Baggage::parse(fields).to_string();
    let tracestate = caller.map(|caller| caller.state.bounded()).unwrap_or_default();
    let onward = Onward { tracestate, baggage };
    (onward != Onward::default()).then(|| Arc::new(onward))
}

fn client_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(CLIENT_TEXT).collect())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
