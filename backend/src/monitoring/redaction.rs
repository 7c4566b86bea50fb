//! What must not leave in telemetry, wherever it came from: masked in every text before it is logged or exported.
//!
//! Nothing of a request's content is put into telemetry in the first place. This is for what slips in: a provider's error
//! that repeats a key, a path that holds an address.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
    sync::LazyLock,
};

use regex::{Captures, Regex};

/// Texts of these attributes and fields are the operator's own, or ids of ours: hosts of providers are no clients' addresses.
const OWN: [&str; 12] = [
    "address",
    "exporter",
    "goblin.request.id",
    "http.route",
    "listener",
    "place",
    "request_id",
    "server.address",
    "span_id",
    "trace_id",
    "url.scheme",
    "version",
];

/// In this order; the names are what is put in their place.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        // Keys of ours, of OpenAI, Anthropic and others alike, of Google, of xAI, Groq and GitHub.
        r"(?P<key>\b(?:gob_[0-9A-Za-z_]{4,}|sk-[0-9A-Za-z_\-]{8,}|AIza[0-9A-Za-z_\-]{16,}|(?:xai|gsk|ghp|key)[_\-][0-9A-Za-z_\-]{16,}))",
        r"(?P<token>\beyJ[0-9A-Za-z_\-]+\.[0-9A-Za-z_\-]+(?:\.[0-9A-Za-z_\-]*)?|\b[Bb]earer[ \t]+[0-9A-Za-z._~+/=\-]+)",
        r"(?P<userinfo>://[^/ \t\r\n:@]*:[^/ \t\r\n@]*@)",
        r"(?P<email>[0-9A-Za-z._%+\-]+@[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)+)",
        // All that may be one; which of it is one, `before_address` says.
        r"(?P<ip6>[0-9A-Za-z]*(?::[0-9A-Za-z]*){2,}(?:(?:\.[0-9]{1,3}){3})?)",
        r"(?P<ip>\b(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\b)",
        r"(?P<card>\b[0-9](?:[ \-]?[0-9]){12,18}\b)",
    ];
    // What a word is, by ASCII: tables of Unicode are left out.
    let patterns = patterns.join("|").replace(r"\b", r"(?-u:\b)");
    Regex::new(&patterns).unwrap_or_else(|error| unreachable!("a constant: {error}"))
});

/// The text without what must not leave. `name` is that of the attribute or field.
pub(super) fn redact_named<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    if OWN.contains(&name) { Cow::Borrowed(text) } else { redact(text) }
}

/// The text without what must not leave.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    if !may_hold_any(text) {
        return Cow::Borrowed(text);
    }
    SECRETS.replace_all(text, |found: &Captures<'_>| {
        let is = |name: &str| found.name(name).is_some();
        let all = &found[0];
        if is("ip6") {
            let kept = before_address(all).unwrap_or(all);
            return if kept.len() < all.len() { format!("{kept}[ip]") } else { all.to_owned() };
        }
        if is("card") && !is_card(all) {
            return all.to_owned();
        }
        let mask = if is("userinfo") {
            "://[redacted]@"
        } else if is("email") {
            "[email]"
        } else if is("ip") {
            if is_nobodys(all) {
                return all.to_owned();
            }
            "[ip]"
        } else if is("card") {
            "[card]"
        } else {
            "[secret]"
        };
        mask.to_owned()
    })
}

/// Most texts hold nothing of the kind, which one look at each byte tells.
fn may_hold_any(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut digits, mut dots, mut colons) = (0, 0, 0);
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' => dots += 1,
            b':' => colons += 1,
            b'@' => return true,
            // How keys and tokens begin, and how the names of their owners do.
            b'B' | b'b' | b'A' | b'e' | b'g' | b'k' | b's' | b'x' => {
                let rest = &bytes[index..];
                if BEGINNINGS.iter().any(|beginning| rest.starts_with(beginning)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    digits >= 13 || colons >= 2 || (dots >= 3 && digits >= 4)
}

const BEGINNINGS: [&[u8]; 10] =
    [b"Bearer", b"bearer", b"AIza", b"eyJ", b"gob_", b"gsk", b"ghp", b"key", b"sk-", b"xai"];

/// The digits of a payment card: ISO/IEC 7812-1, by its check digit.
fn is_card(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10) && text.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0')
}

/// The machine itself, or any: it says of nobody where he is.
fn is_nobodys(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// What stands before an address of IPv6 at the end of a text that has several colons. `None`: there is none. Times such
/// as `12:30:05` are none, and neither are paths such as `std::fmt` or `a::b`.
fn before_address(text: &str) -> Option<&str> {
    let starts = std::iter::once(0).chain(text.match_indices(':').map(|(index, _)| index + 1));
    let is_address = |rest: &str| {
        rest.bytes().any(|byte| byte.is_ascii_digit()) && rest.parse::<Ipv6Addr>().is_ok() && !is_nobodys(rest)
    };
    starts.filter(|start| is_address(&text[*start..])).map(|start| &text[..start]).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_leave_is_masked() {
        for (text, masked) in [
            ("Incorrect API key provided: sk-proj-abcDEF123_456", "Incorrect API key provided: [secret]"),
            ("x-api-key gob_abcdefghijkl_0123 was", "x-api-key [secret] was"),
            ("Authorization: Bearer abc.def-1", "Authorization: [secret]"),
            ("token eyJhbGciOi.eyJzdWIi.c2ln end", "token [secret] end"),
            ("write to ann.b+c@example.co.uk, please", "write to [email], please"),
            ("from 203.0.113.9 and 2001:db8::9f, ::ffff:1.2.3.4", "from [ip] and [ip], [ip]"),
            ("client:2001:db8::1 [fe80::1]:443", "client:[ip] [[ip]]:443"),
            ("card 4111 1111 1111 1111!", "card [card]!"),
            ("card 4111-1111-1111-1111", "card [card]"),
            ("https://user:pass@host/x", "https://[redacted]@host/x"),
            ("?key=AIzaSyA1234567890abcdefg", "?key=[secret]"),
        ] {
            assert_eq!(redact(text), masked);
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for text in [
            "",
            "openai/gpt-4.1-mini",
            "4111 1111 1111 1112",
            "order 1234567890123456",
            "12:30:05 std::io::Error",
            "a::b c::d",
            "version 1.2.3",
            "0000000000000000",
            "demo answered in 12.5 ms",
            "cannot listen on 127.0.0.1:8080 or [::1]:80 or 0.0.0.0",
            "claude-sonnet-4-5-20250929",
        ] {
            assert_eq!(redact(text), text);
        }
        assert_eq!(redact_named("server.address", "192.0.2.1"), "192.0.2.1");
        assert_eq!(redact_named("other", "192.0.2.1"), "[ip]");
    }
}
