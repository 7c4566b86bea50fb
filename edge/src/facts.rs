//! What the platform tells of a request, as plain values.

use goblin_shared::client_facts::ClientFacts;

/// Everything that decisions are made from, except the body.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// HTTP method, upper case.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// `content-type`.
    pub content_type: Option<String>,
    /// `content-encoding`.
    pub content_encoding: Option<String>,
    /// `content-length`.
    pub content_length: Option<String>,
    /// `traceparent`; several are joined by commas, as Fetch does.
    pub traceparent: Option<String>,
    /// `tracestate`, joined likewise.
    pub tracestate: Option<String>,
    /// What Cloudflare knows of the client.
    pub client: ClientFacts,
}

impl RequestFacts {
    /// Path with its query, as on the request line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        let after_scheme = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        after_scheme.find('/').map_or("/", |slash| &after_scheme[slash..])
    }

    /// Path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        let target = self.path_and_query();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.split_once("://").map_or("", |(scheme, _)| scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_split_as_on_the_request_line() {
        for (url, target, path) in [
            ("https://edge.example/v1/models?limit=1", "/v1/models?limit=1", "/v1/models"),
            ("http://127.0.0.1:8787/", "/", "/"),
            ("http://edge.example/a?next=http://x/y", "/a?next=http://x/y", "/a"),
        ] {
            let facts = RequestFacts { url: url.into(), ..RequestFacts::default() };
            assert_eq!((facts.path_and_query(), facts.path()), (target, path));
        }
    }
}
