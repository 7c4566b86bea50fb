//! What can be refused by the head of a request alone.

use goblin_shared::{
    api::Api,
    conversation::ConversationPath,
    error_body::{ClientError, ErrorCode},
};

use crate::{facts::RequestFacts, refusal::Refusal};

/// What the edge serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A request with a body, which is planned.
    Post(Api),
    /// What callers have kept; handed on as it is, the backend knows whose it is.
    Conversations(ConversationPath),
    /// `GET /v1/models`
    Models,
    /// `GET /openapi.json`, the backend's description of its API.
    OpenapiJson,
    /// `GET /healthz`, answered here.
    Healthz,
    /// `GET /readyz`, asked of the backend.
    Readyz,
}

impl Endpoint {
    /// Those without a body.
    const GETS: [Self; 4] = [Self::Models, Self::OpenapiJson, Self::Healthz, Self::Readyz];

    /// Its route template, which is also its path where there is no id in it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Post(api) => api.path(),
            Self::Conversations(path) => path.template(),
            Self::Models => "/v1/models",
            Self::OpenapiJson => "/openapi.json",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
        }
    }

    /// The methods that it takes, as the field `allow` lists them.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Self::Post(_) => "POST",
            Self::Conversations(path) => path.allow(),
            Self::Models | Self::OpenapiJson | Self::Healthz | Self::Readyz => "GET, HEAD",
        }
    }

    /// Whether a request with this method carries a JSON body.
    #[must_use]
    pub fn has_body(self, method: &str) -> bool {
        match self {
            Self::Post(_) => true,
            Self::Conversations(path) => path.has_body(method),
            Self::Models | Self::OpenapiJson | Self::Healthz | Self::Readyz => false,
        }
    }

    /// Whether it only tells of the service's health, and costs nothing that is worth guarding.
    #[must_use]
    pub fn is_health(self) -> bool {
        matches!(self, Self::Healthz | Self::Readyz)
    }

    /// The API whose requests are planned by their body, if it is one's.
    #[must_use]
    pub fn api(self) -> Option<Api> {
        match self {
            Self::Post(api) => Some(api),
            Self::Conversations(_) | Self::Models | Self::OpenapiJson | Self::Healthz | Self::Readyz => None,
        }
    }

    /// The endpoint of a path, whatever the method.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let post = Api::of_path(path).map(Self::Post);
        post.or_else(|| Self::GETS.into_iter().find(|endpoint| endpoint.path() == path))
            .or_else(|| ConversationPath::of_path(path).map(Self::Conversations))
    }
}

/// Finds the endpoint and checks method, content type and announced length.
pub fn check(facts: &RequestFacts, body_limit: usize) -> Result<Endpoint, Refusal> {
    let Some(endpoint) = Endpoint::of_path(facts.path()) else {
        let message = "There is nothing at this path; the API is under /v1, for example POST /v1/chat/completions.";
        return Err(ClientError::new(ErrorCode::NotFound, message).into());
    };
    let allow = endpoint.allow();
    if !allow.split(", ").any(|method| method == facts.method) {
        let message = format!("{} takes {allow} only.", endpoint.path());
        let refusal = Refusal::from(ClientError::new(ErrorCode::MethodNotAllowed, message));
        return Err(refusal.with_field("allow", allow.to_owned()));
    }
    if endpoint.has_body(&facts.method) {
        check_body(facts, body_limit)?;
    }
    Ok(endpoint)
}

fn check_body(facts: &RequestFacts, body_limit: usize) -> Result<(), Refusal> {
    let media_type = facts.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = "Send the body as JSON, with content-type: application/json.";
        return Err(ClientError::new(ErrorCode::UnsupportedMediaType, message).into());
    }
    let encoding = facts.header("content-encoding").unwrap_or_default().trim();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        let message = "Send the body as it is, without content-encoding.";
        return Err(ClientError::new(ErrorCode::UnsupportedMediaType, message).into());
    }
    if announced_length(facts).is_some_and(|length| length > body_limit as u64) {
        return Err(body_too_large(body_limit));
    }
    Ok(())
}

/// The length that the head announces, if it does.
#[must_use]
pub fn announced_length(facts: &RequestFacts) -> Option<u64> {
    facts.header("content-length")?.trim().parse().ok()
}

/// The refusal of a body over the limit, announced or found while reading.
#[must_use]
pub fn body_too_large(body_limit: usize) -> Refusal {
    let message = format!("The body is larger than {body_limit} bytes; send less.");
    ClientError::new(ErrorCode::BodyTooLarge, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(method: &str, path: &str) -> RequestFacts {
        RequestFacts {
            method: method.into(),
            url: format!("https://edge.example{path}"),
            fields: vec![("content-type".into(), "application/json; charset=utf-8".into())],
            ..RequestFacts::default()
        }
    }

    fn with(mut facts: RequestFacts, name: &str, value: Option<&str>) -> RequestFacts {
        facts.fields.retain(|(known, _)| known != name);
        facts.fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        facts
    }

    fn code(facts: &RequestFacts) -> &'static str {
        check(facts, 100).unwrap_err().error.code.as_str()
    }

    #[test]
    fn known_paths_take_their_methods() {
        for (method, path, endpoint) in [
            ("POST", "/v1/chat/completions", Endpoint::Post(Api::ChatCompletions)),
            ("POST", "/v1/messages?beta=true", Endpoint::Post(Api::Messages)),
            ("POST", "/v1/embeddings", Endpoint::Post(Api::Embeddings)),
            ("GET", "/v1/models?x=1", Endpoint::Models),
            ("GET", "/openapi.json", Endpoint::OpenapiJson),
            ("HEAD", "/openapi.json", Endpoint::OpenapiJson),
            ("HEAD", "/healthz", Endpoint::Healthz),
            ("GET", "/readyz", Endpoint::Readyz),
            ("POST", "/v1/conversations", Endpoint::Conversations(ConversationPath::All)),
            ("GET", "/v1/conversations?limit=2&after=x", Endpoint::Conversations(ConversationPath::All)),
            ("PATCH", "/v1/conversations/conv_x", Endpoint::Conversations(ConversationPath::One)),
            ("DELETE", "/v1/conversations/conv_x", Endpoint::Conversations(ConversationPath::One)),
            ("HEAD", "/v1/conversations/conv_x/turns", Endpoint::Conversations(ConversationPath::Turns)),
            (
                "GET",
                "/v1/conversations/conv_x/export?format=markdown",
                Endpoint::Conversations(ConversationPath::Export),
            ),
        ] {
            assert_eq!(check(&facts(method, path), 100).ok(), Some(endpoint), "{method} {path}");
        }
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for path in [
            "/",
            "/v1/chat/completions/",
            "/V1/models",
            "/v1/models%2f",
            "/internal/health",
            "/v1/messages/batches",
            "/v1/messages/count_tokens",
            "/v1/openapi.json",
            "/v1/conversations/",
            "/v1/conversations/conv_x/turns/1",
        ] {
            assert_eq!(code(&facts("POST", path)), "not_found", "{path}");
        }
        let refusal = check(&facts("DELETE", "/v1/models"), 100).unwrap_err();
        assert_eq!((refusal.error.code.status(), refusal.fields), (405, vec![("allow", "GET, HEAD".to_owned())]));
        for api in Api::ALL {
            assert_eq!(code(&facts("GET", api.path())), "method_not_allowed", "{api:?}");
        }
        assert_eq!(code(&facts("POST", "/openapi.json")), "method_not_allowed");
        for (method, path) in [("DELETE", ""), ("PUT", "/conv_x"), ("POST", "/conv_x"), ("POST", "/conv_x/turns")] {
            let refusal = check(&facts(method, &format!("/v1/conversations{path}")), 100).unwrap_err();
            assert_eq!(refusal.error.code.as_str(), "method_not_allowed", "{method} {path}");
            // An id is not repeated, not even to whom it belongs.
            assert!(!refusal.error.message.contains("conv_x"));
        }
    }

    #[test]
    fn every_endpoint_is_found_by_its_path() {
        let endpoints = Api::ALL.map(Endpoint::Post).into_iter().chain(Endpoint::GETS);
        let kept = ConversationPath::ALL.map(Endpoint::Conversations);
        for endpoint in endpoints.chain(kept) {
            assert_eq!(Endpoint::of_path(endpoint.path()), Some(endpoint));
            let methods = endpoint.allow().split(", ");
            assert_eq!(
                methods.filter(|method| endpoint.has_body(method)).count() > 0,
                match endpoint {
                    Endpoint::Post(_) => true,
                    Endpoint::Conversations(path) => path.allow().contains('P'),
                    _ => false,
                }
            );
        }
    }

    #[test]
    fn bodies_are_json_within_the_limit() {
        for content_type in [None, Some("text/plain"), Some("application/jsonl"), Some("")] {
            for api in Api::ALL {
                let facts = with(facts("POST", api.path()), "content-type", content_type);
                assert_eq!(code(&facts), "unsupported_media_type", "{api:?} {content_type:?}");
            }
        }
        for (method, path) in [("POST", "/v1/conversations"), ("PATCH", "/v1/conversations/conv_x")] {
            assert_eq!(code(&with(facts(method, path), "content-type", None)), "unsupported_media_type");
            assert_eq!(code(&with(facts(method, path), "content-length", Some("101"))), "body_too_large");
        }
        assert!(check(&with(facts("DELETE", "/v1/conversations/conv_x"), "content-type", None), 100).is_ok());
        let chat = facts("POST", "/v1/chat/completions");
        let encoded = with(chat.clone(), "content-encoding", Some("gzip"));
        assert_eq!(code(&encoded), "unsupported_media_type");
        let long = |length: &str| with(chat.clone(), "content-length", Some(length));
        assert_eq!(code(&long("101")), "body_too_large");
        assert!(check(&long("100"), 100).is_ok());
    }
}
