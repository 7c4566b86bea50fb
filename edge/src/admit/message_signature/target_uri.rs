//! The parts of a request's URL that a signature can cover, normalised as RFC 9421 §2.2 says and no further.

use std::borrow::Cow;

/// An absolute `http` or `https` URL in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TargetUri<'a> {
    /// All of it, but without a fragment, which never leaves a client (RFC 9110 §7.1).
    pub(super) whole: &'a str,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Host in lower case, with the port unless it is the scheme's own.
    pub(super) authority: String,
    /// Path as it was sent; `/` when there is none.
    pub(super) path: &'a str,
    /// What follows the question mark, if there is one.
    pub(super) query: Option<&'a str>,
}

impl<'a> TargetUri<'a> {
    /// `None` for other schemes, for no host, and for user information, which has no place in a request.
    pub(super) fn read(url: &'a str) -> Option<Self> {
        let whole = url.split_once('#').map_or(url, |(before, _)| before);
        let (scheme, rest) = whole.split_once("://")?;
        let scheme = ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme))?;
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { whole, scheme, authority: normalised(authority, scheme)?, path, query })
    }

    /// Path and query, as on the request line.
    pub(super) fn origin_form(&self) -> Cow<'a, str> {
        self.query.map_or(self.path.into(), |query| format!("{}?{query}", self.path).into())
    }
}

fn normalised(authority: &str, scheme: &str) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority.as_str(), ""),
    };
    if host.is_empty() || host.contains('@') || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let default_port = if scheme == "https" { "443" } else { "80" };
    Some(if port.is_empty() || port == default_port { host.to_owned() } else { authority.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Option<(&str, String, &str, Option<&str>)> {
        TargetUri::read(url).map(|target| (target.scheme, target.authority, target.path, target.query))
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, scheme, authority, path, query) in [
            ("https://www.example.com/path?param=value", "https", "www.example.com", "/path", Some("param=value")),
            ("HTTPS://WWW.Example.COM/Path", "https", "www.example.com", "/Path", None),
            ("https://example.com:443/", "https", "example.com", "/", None),
            ("http://example.com:443/", "http", "example.com:443", "/", None),
            ("http://example.com:80", "http", "example.com", "/", None),
            ("http://example.com:/", "http", "example.com", "/", None),
            ("https://example.com?a/b", "https", "example.com", "/", Some("a/b")),
            ("https://example.com/?", "https", "example.com", "/", Some("")),
            ("https://example.com/a%2Fb#c?d", "https", "example.com", "/a%2Fb", None),
            ("http://127.0.0.1:8787/a", "http", "127.0.0.1:8787", "/a", None),
            ("http://[::1]/a", "http", "[::1]", "/a", None),
            ("http://[::A]:8787/a", "http", "[::a]:8787", "/a", None),
        ] {
            assert_eq!(parts(url), Some((scheme, authority.to_owned(), path, query)), "{url}");
        }
    }

    #[test]
    fn a_fragment_is_not_part_of_the_target() {
        assert_eq!(TargetUri::read("https://e.example/a?b#c").unwrap().whole, "https://e.example/a?b");
    }

    #[test]
    fn other_texts_are_no_target() {
        for url in ["", "/path", "example.com/path", "ftp://example.com/", "https:///path", "https://a@example.com/"] {
            assert_eq!(parts(url), None, "{url}");
        }
        assert_eq!(parts("https://example.com:8x/"), None);
    }
}
