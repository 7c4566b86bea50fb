//! What the platform tells of a request, as plain values.

use goblin_shared::{client_facts::ClientFacts, headers::GOBLIN_PREFIX};

use crate::origins::REGIONS;

/// Everything that decisions are made from, except the body.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    /// HTTP method, upper case.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// What goes on to the backend about the client.
    pub client: ClientFacts,
    /// The continent that the client is on, one of [`crate::origins::REGIONS`], where Cloudflare tells it.
    pub region: Option<&'static str>,
    /// What only Cloudflare can see, where it tells.
    pub network: NetworkFacts,
    /// Header fields with lower-case names, one entry for each name: Fetch joins several by `, `. Without those that
    /// only the gateway may set.
    pub fields: Vec<(String, String)>,
    /// Names of fields that only the gateway may set: forged, and to be removed.
    pub forged: Vec<String>,
}

/// What `request.cf` tells; all of it only on Cloudflare, some of it only with Bot Management.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Autonomous system that the client's address belongs to.
    pub asn: Option<u32>,
    /// Such as `TLSv1.3`.
    pub tls_version: Option<String>,
    /// From 1 (certainly automated) to 99 (certainly human).
    pub bot_score: Option<u8>,
    /// Such as `Search Engine Crawler`; only for bots that Cloudflare has verified.
    pub verified_bot: Option<String>,
    /// Fingerprint of the client's TLS handshake.
    pub ja4: Option<String>,
}

impl RequestFacts {
    /// Sorts out what the platform tells in one text: a line each for method, URL, country, colo, continent, ASN, TLS
    /// version, bot score, verified bot category and JA4 (empty where unknown), then the header fields as `name,value` with
    /// lower-case names. None of them can hold a line break.
    #[must_use]
    pub fn from_lines(text: &str) -> Self {
        let mut lines = text.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        let (method, url) = (next().unwrap_or_default(), next().unwrap_or_default());
        let client = ClientFacts { country: next(), colo: next(), ..ClientFacts::default() };
        let continent = next().unwrap_or_default();
        let region = REGIONS.into_iter().find(|region| region.eq_ignore_ascii_case(&continent));
        let network = NetworkFacts {
            asn: next().and_then(|asn| asn.parse().ok()),
            tls_version: next(),
            bot_score: next().and_then(|score| score.parse().ok()),
            verified_bot: next(),
            ja4: next(),
        };
        let mut facts = Self { method, url, client, region, network, ..Self::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(',')) {
            if name.starts_with(GOBLIN_PREFIX) {
                facts.forged.push(name.to_owned());
            } else {
                facts.fields.push((name.to_owned(), value.to_owned()));
            }
        }
        facts.client.ray = facts.header("cf-ray").map(str::to_owned);
        facts.client.address = facts.header("cf-connecting-ip").map(str::to_owned);
        facts
    }

    /// The value of a header field; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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

    /// The host that was asked for, without its port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let after_scheme = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_out() {
        let facts = RequestFacts::from_lines(concat!(
            "POST\nhttp://e/\nDE\n\nEU\n64496\nTLSv1.3\n30\nAI Crawler\nt13d\naccept,a, b\ncontent-type,application/json\n",
            "x-goblin-route,\"a/b\"\nx-goblin-,\ncf-ray,8a-FRA\ntracestate,a=1, b=2\ncf-connecting-ip,192.0.2.1",
        ));
        assert_eq!((facts.method.as_str(), facts.path()), ("POST", "/"));
        assert_eq!(facts.header("content-type"), Some("application/json"));
        assert_eq!(facts.header("tracestate"), Some("a=1, b=2"));
        assert_eq!(facts.forged, ["x-goblin-route", "x-goblin-"]);
        assert_eq!(facts.header("x-goblin-route"), None);
        assert_eq!((facts.client.country.as_deref(), facts.client.colo.as_deref()), (Some("DE"), None));
        assert_eq!(facts.region, Some("eu"));
        assert_eq!((facts.client.ray.as_deref(), facts.client.address.as_deref()), (Some("8a-FRA"), Some("192.0.2.1")));
        let network = NetworkFacts {
            asn: Some(64496),
            tls_version: Some("TLSv1.3".into()),
            bot_score: Some(30),
            verified_bot: Some("AI Crawler".into()),
            ja4: Some("t13d".into()),
        };
        assert_eq!(facts.network, network);
        let nothing = RequestFacts::from_lines("");
        assert_eq!(nothing.header("accept"), None);
        assert_eq!(nothing.network, NetworkFacts::default());
    }

    #[test]
    fn the_url_is_split_as_on_the_request_line() {
        for (url, target, path, host) in [
            ("https://edge.example/v1/models?limit=1", "/v1/models?limit=1", "/v1/models", "edge.example"),
            ("http://127.0.0.1:8787/", "/", "/", "127.0.0.1"),
            ("http://edge.example/a?next=http://x/y", "/a?next=http://x/y", "/a", "edge.example"),
            ("http://[::1]:8787/a", "/a", "/a", "[::1]"),
            ("http://[::1]/a", "/a", "/a", "[::1]"),
        ] {
            let facts = RequestFacts { url: url.into(), ..RequestFacts::default() };
            assert_eq!((facts.path_and_query(), facts.path(), facts.host()), (target, path, host));
        }
    }
}
