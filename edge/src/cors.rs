//! Which pages of other origins may use the service from a browser (Fetch standard, "CORS protocol").

use goblin_shared::{
    error_body::{ClientError, ErrorCode},
    headers::{
        GOBLIN_CONTEXT_DROPPED, GOBLIN_MODEL, GOBLIN_ROUTE_REASON, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID,
        RETRY_AFTER, SERVER_TIMING,
    },
};

use crate::{facts::RequestFacts, preflight::Endpoint, refusal::Refusal};

/// What is allowed, and for how long a browser may remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsConfig {
    /// `CORS_ORIGINS`
    pub origins: Origins,
    /// `CORS_MAX_AGE_S`: browsers cap it, Chromium at 7,200.
    pub max_age_s: u32,
}

/// The origins whose pages may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// These, which may also send cookies: a clearance needs them. None at all by default.
    Listed(Vec<String>),
    /// Every origin, without cookies.
    Any,
}

/// What a page may read of an answer's head besides what every page may.
const EXPOSED: [&str; 9] = [
    REQUEST_ID,
    SERVER_TIMING,
    RETRY_AFTER,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    GOBLIN_MODEL,
    GOBLIN_ROUTE_REASON,
    GOBLIN_CONTEXT_DROPPED,
    // What an exported conversation is to be called as a file.
    "content-disposition",
];
/// Longest list of request fields that a preflight may ask for, in bytes.
const ASKED_BYTES: usize = 2_048;

/// A field of an answer.
pub type Field = (&'static str, String);

impl CorsConfig {
    /// Whether the page that sent a request may read the answer; with the value of `access-control-allow-origin`.
    fn allowed<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match &self.origins {
            Origins::Any => Some("*"),
            Origins::Listed(listed) => listed.iter().any(|known| known == origin).then_some(origin),
        }
    }

    /// The fields that the answer to a request carries, a refusal too. Caches must know that they depend on the origin,
    /// also when this request has none.
    #[must_use]
    pub fn fields(&self, facts: &RequestFacts) -> Vec<Field> {
        if self.origins == Origins::Listed(Vec::new()) {
            return Vec::new();
        }
        let mut fields = Vec::new();
        if let Some(allowed) = facts.header("origin").and_then(|origin| self.allowed(origin)) {
            fields.push(("access-control-allow-origin", allowed.to_owned()));
            if allowed != "*" {
                fields.push(("access-control-allow-credentials", "true".to_owned()));
            }
            fields.push(("access-control-expose-headers", EXPOSED.join(", ")));
        }
        if self.origins != Origins::Any {
            fields.push(("vary", "origin".to_owned()));
        }
        fields
    }

    /// Answers a preflight: the fields beside [`Self::fields`], or why not. `None` for any other request.
    #[must_use]
    pub fn preflight(&self, facts: &RequestFacts) -> Option<Result<Vec<Field>, Refusal>> {
        let origin = facts.header("origin")?;
        if facts.method != "OPTIONS" || facts.header("access-control-request-method").is_none() {
            return None;
        }
        let endpoint = Endpoint::of_path(facts.path())?;
        if self.allowed(origin).is_none() {
            let message =
                "Pages of this origin may not use the service; its operator can add the origin to CORS_ORIGINS.";
            return Some(Err(ClientError::new(ErrorCode::OriginNotAllowed, message).into()));
        }
        let asked = facts.header("access-control-request-headers").unwrap_or_default();
        if asked.len() > ASKED_BYTES || !asked.split(',').all(|name| is_token(name.trim()) || name.trim().is_empty()) {
            let message = "access-control-request-headers is not a list of field names.";
            return Some(Err(ClientError::new(ErrorCode::OriginNotAllowed, message).into()));
        }
        let mut fields = vec![
            ("access-control-allow-methods", endpoint.allow().to_owned()),
            ("access-control-max-age", self.max_age_s.to_string()),
        ];
        if !asked.is_empty() {
            // Which fields a page sends is no secret to guard: SDKs add their own.
            fields.push(("access-control-allow-headers", asked.to_owned()));
        }
        Some(Ok(fields))
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// An origin as browsers send it: scheme and authority in lower case, nothing behind.
#[must_use]
pub fn origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let is_authority = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ', '*']);
    is_authority.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(origins: Origins) -> CorsConfig {
        CorsConfig { origins, max_age_s: 7_200 }
    }

    fn listed() -> CorsConfig {
        config(Origins::Listed(vec!["https://app.example".into()]))
    }

    fn facts(method: &str, fields: &[(&str, &str)]) -> RequestFacts {
        RequestFacts {
            method: method.into(),
            url: "https://edge.example/v1/chat/completions".into(),
            fields: fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..RequestFacts::default()
        }
    }

    fn names(fields: &[Field]) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    const EXPOSE: &str = "access-control-expose-headers: x-request-id, server-timing, retry-after, ratelimit, ratelimit-policy, x-goblin-model, x-goblin-route-reason, x-goblin-context-dropped, content-disposition";

    #[test]
    fn listed_origins_may_read_and_send_cookies() {
        let fields = listed().fields(&facts("POST", &[("origin", "https://app.example")]));
        let expected = [
            "access-control-allow-origin: https://app.example",
            "access-control-allow-credentials: true",
            EXPOSE,
            "vary: origin",
        ];
        assert_eq!(names(&fields), expected);
    }

    #[test]
    fn other_origins_and_none_get_nothing_but_vary() {
        for origin in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
            assert_eq!(names(&listed().fields(&facts("POST", &[("origin", origin)]))), ["vary: origin"], "{origin}");
        }
        assert_eq!(names(&listed().fields(&facts("POST", &[]))), ["vary: origin"]);
    }

    #[test]
    fn without_configuration_there_is_no_word_of_it() {
        let none = config(Origins::Listed(vec![]));
        assert!(none.fields(&facts("POST", &[("origin", "https://app.example")])).is_empty());
    }

    #[test]
    fn any_origin_may_read_and_none_may_send_cookies() {
        let fields = config(Origins::Any).fields(&facts("POST", &[("origin", "https://who.example")]));
        assert_eq!(names(&fields), ["access-control-allow-origin: *", EXPOSE]);
    }

    const PREFLIGHT: [(&str, &str); 3] = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
    ];

    #[test]
    fn a_preflight_is_told_what_the_endpoint_takes() {
        let fields = listed().preflight(&facts("OPTIONS", &PREFLIGHT)).unwrap().unwrap();
        let expected = [
            "access-control-allow-methods: POST",
            "access-control-max-age: 7200",
            "access-control-allow-headers: authorization,content-type,x-stainless-lang",
        ];
        assert_eq!(names(&fields), expected);
        assert!(listed().preflight(&facts("POST", &PREFLIGHT)).is_none());
        assert!(listed().preflight(&facts("OPTIONS", &PREFLIGHT[..1])).is_none(), "no preflight");
        let mut unknown = facts("OPTIONS", &PREFLIGHT);
        unknown.url = "https://edge.example/other".into();
        assert!(listed().preflight(&unknown).is_none(), "404 says more");
    }

    #[test]
    fn sdks_may_send_their_own_fields_to_every_endpoint() {
        // As the two vendors' SDKs ask from a page.
        let openai = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-retry-count";
        let anthropic =
            "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key";
        for (path, asked, methods) in [
            ("/v1/messages", anthropic, "POST"),
            ("/v1/messages?beta=true", anthropic, "POST"),
            ("/v1/embeddings", openai, "POST"),
            ("/openapi.json", "authorization", "GET, HEAD"),
            ("/v1/conversations", openai, "GET, HEAD, POST"),
            ("/v1/conversations/conv_x?x=1", openai, "GET, HEAD, PATCH, DELETE"),
            ("/v1/conversations/conv_x/export", openai, "GET, HEAD"),
        ] {
            let mut facts = facts("OPTIONS", &[PREFLIGHT[0], PREFLIGHT[1], ("access-control-request-headers", asked)]);
            facts.url = format!("https://edge.example{path}");
            let fields = names(&listed().preflight(&facts).unwrap().unwrap());
            assert_eq!(fields[0], format!("access-control-allow-methods: {methods}"), "{path}");
            assert_eq!(fields[2], format!("access-control-allow-headers: {asked}"), "{path}");
        }
    }

    #[test]
    fn preflights_of_strangers_and_nonsense_are_refused() {
        let of = |name: &str, value: &str| {
            let mut facts = facts("OPTIONS", &PREFLIGHT);
            facts.fields.iter_mut().filter(|(known, _)| known == name).for_each(|(_, old)| value.clone_into(old));
            listed().preflight(&facts).unwrap()
        };
        assert_eq!(of("origin", "https://evil.example").unwrap_err().error.code, ErrorCode::OriginNotAllowed);
        assert!(of("access-control-request-headers", "a b").is_err());
        assert!(of("access-control-request-headers", &"x".repeat(ASKED_BYTES + 1)).is_err());
        assert!(of("access-control-request-headers", "").is_ok());
    }

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        for (text, expected) in [
            ("https://App.example/", Some("https://app.example")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("app.example", None),
            ("https://app.example/path", None),
            ("https://*.example", None),
            ("https://", None),
        ] {
            assert_eq!(origin(text).as_deref(), expected, "{text}");
        }
    }
}
