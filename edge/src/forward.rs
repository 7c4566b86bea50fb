//! The head with which a request goes on to the backend.

use goblin_shared::{
    edge_signature::SignedHead,
    headers::{
        GOBLIN_ATTEMPT, GOBLIN_CLIENT, GOBLIN_EDGE_SIGNATURE, GOBLIN_REQUEST_ID, GOBLIN_ROUTE, TRACEPARENT, TRACESTATE,
        TURNSTILE_TOKEN,
    },
    route::Plan,
};

use crate::{
    admit::clearance::{COOKIE, without_clearance},
    config::EdgeConfig,
    facts::RequestFacts,
    identify::Identity,
};

/// There is one origin, so there is one attempt.
const FIRST_ATTEMPT: &str = "1";

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

/// Builds and signs the outgoing head.
#[must_use]
pub fn outgoing_head(
    config: &EdgeConfig,
    facts: &RequestFacts,
    identity: &Identity,
    plan: Option<&Plan>,
    unix_seconds: u64,
) -> OutgoingHead {
    let request_id = identity.request_id.to_string();
    let route = plan.map(Plan::to_field).unwrap_or_default();
    let client = facts.client.to_field();
    let traceparent = identity.client.parent.to_string();
    let signature = SignedHead {
        method: &facts.method,
        path_and_query: facts.path_and_query(),
        request_id: &request_id,
        attempt: FIRST_ATTEMPT,
        route: &route,
        client: &client,
        traceparent: &traceparent,
    }
    .sign(&config.signing_key, unix_seconds);

    let url = format!("{}{}", config.backend_origin, facts.path_and_query());
    let mut head = OutgoingHead { url, set: Vec::with_capacity(7), remove: facts.forged.clone() };
    if let Some(cookies) = facts.header("cookie").filter(|cookies| cookies.contains(COOKIE)) {
        match without_clearance(cookies) {
            others if others.is_empty() => head.remove.push("cookie".to_owned()),
            others => head.set.push(("cookie", others)),
        }
    }
    head.remove.extend(config.admit.dev_address_header.clone());
    // Used up here; to others it is a secret.
    head.remove.extend(facts.header(TURNSTILE_TOKEN).map(|_| TURNSTILE_TOKEN.to_owned()));
    head.set.push((GOBLIN_REQUEST_ID, request_id));
    head.set.push((GOBLIN_ATTEMPT, FIRST_ATTEMPT.to_owned()));
    if !route.is_empty() {
        head.set.push((GOBLIN_ROUTE, route));
    }
    if !client.is_empty() {
        head.set.push((GOBLIN_CLIENT, client));
    }
    head.set.push((GOBLIN_EDGE_SIGNATURE, signature));
    head.set.push((TRACEPARENT, traceparent));
    if identity.client.state.is_empty() {
        // What was there belonged to no valid trace, or was not valid itself.
        head.remove.extend(facts.header(TRACESTATE).map(|_| TRACESTATE.to_owned()));
    } else {
        head.set.push((TRACESTATE, identity.client.state.to_string()));
    }
    head
}

#[cfg(test)]
mod tests {
    use goblin_shared::catalogue::{BUILT_IN, Catalogue};

    use super::*;
    use crate::{identify::identify, route};

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

    fn facts() -> RequestFacts {
        RequestFacts {
            method: "POST".into(),
            url: "https://edge.example/v1/chat/completions?a=1".into(),
            fields: vec![(TRACESTATE.into(), "foo=1".into())],
            forged: vec!["x-goblin-admin".into()],
            ..RequestFacts::default()
        }
    }

    #[test]
    fn the_backend_can_verify_what_is_set() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let plan = route::plan(&catalogue, br#"{"model":"auto","messages":[{}]}"#).unwrap();
        let identity = identify(&facts(), 1_000, &[9; 42]);
        let head = outgoing_head(&config(), &facts(), &identity, Some(&plan), 1_800_000_000);
        assert_eq!(head.url, "http://backend.example:8080/v1/chat/completions?a=1");
        assert_eq!(head.remove, ["x-goblin-admin", TRACESTATE]);
        let field = |name: &str| head.set.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str());
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
        let identity = identify(&facts(), 1_000, &[9; 42]);
        let head = outgoing_head(&config(), &facts(), &identity, None, 1_800_000_000);
        assert!(head.set.iter().all(|(name, value)| *name != GOBLIN_ROUTE && !value.is_empty()));
    }
}
