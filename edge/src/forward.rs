//! The head with which a request goes on to the backend.

use goblin_shared::{
    baggage::Baggage,
    edge_signature::SignedHead,
    headers::{
        BAGGAGE, GOBLIN_ATTEMPT, GOBLIN_CLIENT, GOBLIN_EDGE_SIGNATURE, GOBLIN_REQUEST_ID, GOBLIN_ROUTE, TRACE_GRANT,
        TRACEPARENT, TRACESTATE, TURNSTILE_TOKEN,
    },
    request_id::RequestId,
    route::Plan,
    trace_context::TraceContext,
};

use crate::{
    admit::clearance::{COOKIE, without_clearance},
    config::EdgeConfig,
    facts::RequestFacts,
    health::Said,
    origins::Origin,
};

/// Where a backend tells its state to who signs.
const HEALTH_PATH: &str = "/internal/health";

/// One try of one origin.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Which try it is, from 1.
    pub number: u32,
    /// Where to.
    pub origin: &'a Origin,
    /// The trace, with this try's CLIENT span as its span.
    pub context: &'a TraceContext,
}

/// What is changed on the client's own head. Fields that are not named stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingHead {
    /// Where to.
    pub url: String,
    /// Fields to set, replacing the client's.
    pub set: Vec<(&'static str, String)>,
    /// Fields to remove.
    pub remove: Vec<String>,
}

impl OutgoingHead {
    /// Names to remove, a line each.
    #[must_use]
    pub fn remove_lines(&self) -> String {
        self.remove.join("\n")
    }

    /// Fields to set as `name,value`, a line each. Our own values hold no line break.
    #[must_use]
    pub fn set_lines(&self) -> String {
        let mut lines = String::with_capacity(512);
        for (name, value) in &self.set {
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.extend([name, ",", value]);
        }
        lines
    }
}

/// What the edge reads of the head of a backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendHead {
    /// HTTP status.
    pub status: u16,
    /// What it says of its own durations.
    pub server_timing: String,
    /// What it says of its providers.
    pub health: Said,
    /// Why it did not believe the edge, if it did not.
    pub refusal: Option<String>,
}

impl BackendHead {
    /// Sorts out a text with a line each, empty where there is nothing: status, `server-timing`, `x-goblin-health`, its
    /// signature, `x-goblin-refusal`.
    #[must_use]
    pub fn from_lines(text: &str) -> Self {
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default().to_owned();
        Self {
            status: next().parse().unwrap_or_default(),
            server_timing: next(),
            health: Said { field: next(), signature: next() },
            refusal: Some(next()).filter(|refusal| !refusal.is_empty()),
        }
    }

    /// Why this is no answer of a backend, but Cloudflare's word that it could not reach one: there a fetch that fails
    /// so early that the backend has not seen it does not throw, but has one of these statuses
    /// (<https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/>). Every
    /// answer of a backend has a `server-timing`.
    #[must_use]
    pub fn unreachable(&self) -> Option<String> {
        let is_unreachable = self.is_cloudflares() && matches!(self.status, 521..=523 | 525 | 526 | 530);
        is_unreachable.then(|| format!("Cloudflare could not reach it (status {})", self.status))
    }

    /// Why this is no answer of a backend either, but Cloudflare's word that one was reached and did not answer.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.is_cloudflares().then(|| format!("Cloudflare had no answer of it (status {})", self.status))
    }

    fn is_cloudflares(&self) -> bool {
        self.server_timing.is_empty() && (520..=530).contains(&self.status)
    }
}

/// Builds and signs the outgoing head of one attempt.
#[must_use]
pub fn outgoing_head(
    config: &EdgeConfig,
    facts: &RequestFacts,
    request_id: RequestId,
    attempt: &Attempt<'_>,
    plan: Option<&Plan>,
    unix_seconds: u64,
) -> OutgoingHead {
    let request_id = request_id.to_string();
    let number = attempt.number.to_string();
    let route = plan.map(Plan::to_field).unwrap_or_default();
    let client = facts.client.to_field();
    let traceparent = attempt.context.parent.to_string();
    let signature = SignedHead {
        method: &facts.method,
        path_and_query: facts.path_and_query(),
        request_id: &request_id,
        attempt: &number,
        route: &route,
        client: &client,
        traceparent: &traceparent,
    }
    .sign(&config.signing_key, unix_seconds);

    let url = format!("{}{}", attempt.origin.url, facts.path_and_query());
    let mut head = OutgoingHead { url, set: Vec::with_capacity(8), remove: facts.forged.clone() };
    if let Some(cookies) = facts.header("cookie").filter(|cookies| cookies.contains(COOKIE)) {
        match without_clearance(cookies) {
            others if others.is_empty() => head.remove.push("cookie".to_owned()),
            others => head.set.push(("cookie", others)),
        }
    }
    head.remove.extend(config.admit.dev_address_header.clone());
    // Used up here; to others they are secrets.
    for name in [TURNSTILE_TOKEN, TRACE_GRANT] {
        head.remove.extend(facts.header(name).map(|_| name.to_owned()));
    }
    head.set.push((GOBLIN_REQUEST_ID, request_id));
    head.set.push((GOBLIN_ATTEMPT, number));
    if !route.is_empty() {
        head.set.push((GOBLIN_ROUTE, route));
    }
    if !client.is_empty() {
        head.set.push((GOBLIN_CLIENT, client));
    }
    head.set.push((GOBLIN_EDGE_SIGNATURE, signature));
    head.set.push((TRACEPARENT, traceparent));
    // What was there belonged to no valid trace, or was not valid itself.
    hand_on(&mut head, facts, TRACESTATE, |_| attempt.context.state.bounded());
    let is_handed_on = config.formats.hand_on_baggage();
    let baggage = |field: &str| if is_handed_on { Baggage::parse([field]).to_string() } else { String::new() };
    hand_on(&mut head, facts, BAGGAGE, baggage);
    head
}

/// The signed head with which a backend is asked for its state.
#[must_use]
pub fn health_head(config: &EdgeConfig, origin: &Origin, request_id: RequestId, unix_seconds: u64) -> OutgoingHead {
    let (request_id, attempt) = (request_id.to_string(), "1");
    let signature = SignedHead {
        method: "GET",
        path_and_query: HEALTH_PATH,
        request_id: &request_id,
        attempt,
        route: "",
        client: "",
        traceparent: "",
    }
    .sign(&config.signing_key, unix_seconds);
    let set =
        vec![(GOBLIN_REQUEST_ID, request_id), (GOBLIN_ATTEMPT, attempt.to_owned()), (GOBLIN_EDGE_SIGNATURE, signature)];
    OutgoingHead { url: format!("{}{HEALTH_PATH}", origin.url), set, remove: Vec::new() }
}

/// Hands a field of the client on as it is to be; without it, when that is empty.
fn hand_on(head: &mut OutgoingHead, facts: &RequestFacts, name: &'static str, ours: impl Fn(&str) -> String) {
    let Some(theirs) = facts.header(name) else { return };
    match ours(theirs) {
        empty if empty.is_empty() => head.remove.push(name.to_owned()),
        same if same == theirs => {}
        other => head.set.push((name, other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::identify;

    const SECRET: &str = "dev:0123456789abcdef0123456789abcdef";

    fn config() -> EdgeConfig {
        EdgeConfig::read(|name| match name {
            "BACKEND_ORIGIN" => Some("http://backend.example:8080".into()),
            "EDGE_SIGNING_KEY" => Some(SECRET.into()),
            "API_KEY_ISSUER_SECRETS" => Some("0".repeat(32)),
            _ => None,
        })
        .unwrap()
    }

    fn facts(fields: &[(&str, &str)]) -> RequestFacts {
        RequestFacts {
            method: "POST".into(),
            url: "https://edge.example/v1/chat/completions?a=1".into(),
            fields: fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            forged: vec!["x-goblin-admin".into()],
            ..RequestFacts::default()
        }
    }

    fn head(facts: &RequestFacts, plan: Option<&Plan>) -> OutgoingHead {
        let config = config();
        let identity = identify(facts, 1_000, &[9; 42], None);
        let attempt = Attempt { number: 2, origin: &config.origins.all()[0], context: &identity.client };
        outgoing_head(&config, facts, identity.request_id, &attempt, plan, 1_800_000_000)
    }

    fn field<'a>(head: &'a OutgoingHead, name: &str) -> Option<&'a str> {
        head.set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_backend_can_verify_what_is_set() {
        let plan = Plan::parse("\"demo/goblin-demo\";v=\"1\"").unwrap();
        let head = head(&facts(&[(TRACESTATE, "foo=1")]), Some(&plan));
        assert_eq!(head.url, "http://backend.example:8080/v1/chat/completions?a=1");
        assert_eq!(head.remove, ["x-goblin-admin", TRACESTATE]);
        let field = |name: &str| field(&head, name).unwrap_or_default();
        assert_eq!(field(GOBLIN_ATTEMPT), "2");
        let signed = SignedHead {
            method: "POST",
            path_and_query: "/v1/chat/completions?a=1",
            request_id: field(GOBLIN_REQUEST_ID),
            attempt: field(GOBLIN_ATTEMPT),
            route: field(GOBLIN_ROUTE),
            client: field(GOBLIN_CLIENT),
            traceparent: field(TRACEPARENT),
        };
        assert_eq!(signed.verify(field(GOBLIN_EDGE_SIGNATURE), &[SECRET.parse().unwrap()], 1_800_000_000, 0), Ok(()));
    }

    #[test]
    fn requests_without_a_plan_carry_no_route() {
        let head = head(&facts(&[]), None);
        assert!(head.set.iter().all(|(name, value)| *name != GOBLIN_ROUTE && !value.is_empty()));
    }

    #[test]
    fn what_goes_along_with_a_trace_goes_on_as_far_as_it_is_valid() {
        const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";
        let head = |state: &str, baggage: &str| {
            head(&facts(&[(TRACEPARENT, PARENT), (TRACESTATE, state), (BAGGAGE, baggage)]), None)
        };
        let valid = head("a=1,b=2", "k=v");
        assert_eq!((field(&valid, TRACESTATE), field(&valid, BAGGAGE)), (None, None), "they stay as they are");
        assert_eq!(valid.remove, ["x-goblin-admin"]);
        let tidied = head("a=1 , b=2", "k=v, nonsense");
        assert_eq!((field(&tidied, TRACESTATE), field(&tidied, BAGGAGE)), (Some("a=1,b=2"), Some("k=v")));
        assert_eq!(head("a=1,a=2", "nonsense").remove, ["x-goblin-admin", TRACESTATE, BAGGAGE]);
    }

    #[test]
    fn secrets_of_the_edge_stay_here() {
        let head = head(&facts(&[(TRACE_GRANT, "v1;exp=1;h=00"), (TURNSTILE_TOKEN, "token")]), None);
        assert_eq!(head.remove, ["x-goblin-admin", TURNSTILE_TOKEN, TRACE_GRANT]);
    }
    #[test]
    fn a_backends_head_is_sorted_out() {
        let head = BackendHead::from_lines("403\nbackend;dur=1.0\ndemo=()\nv1;k=a\nedge_signature_invalid");
        assert_eq!((head.status, head.server_timing.as_str()), (403, "backend;dur=1.0"));
        assert_eq!(head.health, Said { field: "demo=()".into(), signature: "v1;k=a".into() });
        assert_eq!(head.refusal.as_deref(), Some("edge_signature_invalid"));
        let bare = BackendHead::from_lines("200\n\n\n\n");
        assert_eq!(bare, BackendHead { status: 200, ..BackendHead::default() });
    }

    #[test]
    fn cloudflares_word_that_nobody_is_there_is_no_answer() {
        for (lines, is_unreachable, is_broken) in [
            ("521\n\n\n\n", true, true),
            ("530\n\n\n\n", true, true),
            // A backend was reached: it may have done what was asked.
            ("520\n\n\n\n", false, true),
            ("524\n\n\n\n", false, true),
            ("503\n\n\n\n", false, false),
            ("521\nbackend;dur=1.0\n\n\n", false, false),
        ] {
            let head = BackendHead::from_lines(lines);
            assert_eq!(
                (head.unreachable().is_some(), head.broken().is_some()),
                (is_unreachable, is_broken),
                "{lines:?}"
            );
        }
    }
}
