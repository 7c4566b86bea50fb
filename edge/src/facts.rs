//! What the platform tells of a request, as plain values.

use goblin_shared::{
    client_facts::ClientFacts,
    headers::{GOBLIN_PREFIX, TRACEPARENT, TRACESTATE},
};

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
    /// Names of fields that only the gateway may set: forged, and to be removed.
    pub forged: Vec<String>,
}

impl RequestFacts {
    /// Sorts out what the platform tells in one text: a line each for method, URL, country and colo (empty where
    /// unknown), then the header fields as `name,value` with lower-case names. None of them can hold a line break.
    #[must_use]
    pub fn from_lines(text: &str) -> Self {
        let mut lines = text.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        let (method, url) = (next().unwrap_or_default(), next().unwrap_or_default());
        let client = ClientFacts { country: next(), colo: next(), ..ClientFacts::default() };
        let mut facts = Self { method, url, client, ..Self::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(',')) {
            let field = match name {
                "content-type" => &mut facts.content_type,
                "content-encoding" => &mut facts.content_encoding,
                "content-length" => &mut facts.content_length,
                TRACEPARENT => &mut facts.traceparent,
                TRACESTATE => &mut facts.tracestate,
                "cf-ray" => &mut facts.client.ray,
                "cf-connecting-ip" => &mut facts.client.address,
                forged if forged.starts_with(GOBLIN_PREFIX) => {
                    facts.forged.push(forged.to_owned());
                    continue;
                }
                _ => continue,
            };
            *field = Some(value.to_owned());
        }
        facts
    }

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
    fn lines_are_sorted_out() {
        let facts = RequestFacts::from_lines(concat!(
            "POST\nhttp://e/\nDE\n\naccept,a, b\ncontent-type,application/json\n",
            "x-goblin-route,\"a/b\"\nx-goblin-,\ncf-ray,8a-FRA\ntracestate,a=1, b=2",
        ));
        assert_eq!((facts.method.as_str(), facts.path()), ("POST", "/"));
        assert_eq!(facts.content_type.as_deref(), Some("application/json"));
        assert_eq!(facts.tracestate.as_deref(), Some("a=1, b=2"));
        assert_eq!(facts.forged, ["x-goblin-route", "x-goblin-"]);
        assert_eq!((facts.client.country.as_deref(), facts.client.colo.as_deref()), (Some("DE"), None));
        assert_eq!(facts.client.ray.as_deref(), Some("8a-FRA"));
        assert_eq!(RequestFacts::from_lines("").traceparent, None);
    }

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
