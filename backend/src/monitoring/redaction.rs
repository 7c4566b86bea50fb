//! What must not leave in telemetry, wherever it came from: masked in every text before it is logged or exported.
//!
//! Nothing of a request's content is put into telemetry in the first place. This is for what slips in: a provider's error
//! that repeats a key, a path that holds an address.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{LazyLock, OnceLock},
};

use goblin_shared::privacy::may_identify;
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

/// What is always a secret where it stands; the names are what is put in its place. Before a key stands no letter and no
/// digit, as words end in `sk-` too, unless what follows is a key beyond doubt.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        // Keys of ours, of OpenAI, Anthropic and others alike, of Google, Hugging Face, Perplexity, NVIDIA and Amazon.
        r"(?P<key>gob_[0-9A-Za-z_]{4,}|sk-(?:proj|ant|or|svcacct|admin)-[0-9A-Za-z_\-]{8,}|sk-[0-9A-Za-z]{20,}|AIza[0-9A-Za-z_\-]{16,}|hf_[0-9A-Za-z]{16,}|pplx-[0-9A-Za-z]{16,}|nvapi-[0-9A-Za-z_\-]{16,}|ya29\.[0-9A-Za-z_\-]{16,}|A[KS]IA[0-9A-Z]{16,}|github_pat_[0-9A-Za-z_]{16,})",
        // Of those that words may end in: xAI, Groq, GitHub, Stripe.
        r"(?P<before>^|[^0-9A-Za-z])(?:sk-[0-9A-Za-z_\-]{8,}|sk_(?:live|test)_[0-9A-Za-z]{8,}|(?:xai|gsk|gh[posu]|key)[_\-][0-9A-Za-z_\-]{16,})",
        r"(?P<token>eyJ[0-9A-Za-z_\-]+\.[0-9A-Za-z_\-]+(?:\.[0-9A-Za-z_\-]*)?|(?:[Bb]earer|BEARER|[Bb]asic|BASIC)[ \t]+[0-9A-Za-z._~+/=\-]{4,})",
        r"(?P<userinfo>://[^/ \t\r\n:@]*:[^/ \t\r\n@]*@)",
        r"(?P<email>[0-9A-Za-z._%+\-]+@[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)+)",
    ];
    regex(&patterns.join("|"))
});

/// Numbers with dots between; which of them are addresses, [`is_ip4`] says.
static DOTTED: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9]+(?:\.[0-9]+){3,}"));

/// Groups of digits; which of them are a card, [`without_cards`] says.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9](?:[ \-]?[0-9]){12,}"));

/// What may hold an address of IPv6; where, [`without_ip6`] says.
static COLONS: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9A-Za-z]*(?::[0-9A-Za-z]*){2,}(?:(?:\.[0-9]{1,3}){3})?"));

/// Secrets of the configuration, which need not look like any. `None`: there are none.
static KNOWN: OnceLock<Option<Regex>> = OnceLock::new();

/// Has these masked wherever they are. Only the first call counts.
pub(super) fn know<'a>(secrets: impl IntoIterator<Item = &'a str>) {
    // Shorter ones, such as a local server's `none`, stand in other words too.
    const SHORTEST: usize = 8;
    let long = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST);
    let pattern = long.map(regex::escape).collect::<Vec<_>>().join("|");
    // Not in mid-request, and never by two at once: whatever fails there would be told through here.
    for pattern in [&SECRETS, &DOTTED, &DIGITS, &COLONS] {
        LazyLock::force(pattern);
    }
    let _ = KNOWN.set((!pattern.is_empty()).then(|| regex(&pattern)));
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("a constant: {error}"))
}

/// The text without what must not leave. `name` is that of the attribute or field.
pub(super) fn redact_named<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    if OWN.contains(&name) { Cow::Borrowed(text) } else { redact(text) }
}

/// The text without what must not leave.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN.get().and_then(Option::as_ref).map(|known| known.replace_all(text, "[secret]"));
    let mut redacted = known.unwrap_or(Cow::Borrowed(text));
    if !may_identify(&redacted) {
        return redacted;
    }
    // One after the other, so that nothing which only looks like one hides what is another.
    for pass in [without_secrets, without_ip6, without_ip4, without_cards] {
        if let Cow::Owned(text) = pass(&redacted) {
            redacted = Cow::Owned(text);
        }
    }
    redacted
}

fn without_secrets(text: &str) -> Cow<'_, str> {
    SECRETS.replace_all(text, |found: &Captures<'_>| {
        let is = |name: &str| found.name(name).is_some();
        if is("userinfo") {
            "://[redacted]@".to_owned()
        } else if is("email") {
            "[email]".to_owned()
        } else {
            format!("{}[secret]", found.name("before").map_or("", |before| before.as_str()))
        }
    })
}

fn without_ip4(text: &str) -> Cow<'_, str> {
    DOTTED.replace_all(text, |found: &Captures<'_>| {
        let groups: Vec<&str> = found[0].split('.').collect();
        if groups.windows(4).any(is_ip4) { "[ip]".to_owned() } else { found[0].to_owned() }
    })
}

/// Four groups that are somebody's address. What ends in three zeros is a network, or a browser's version.
fn is_ip4(groups: &[&str]) -> bool {
    let address = groups.join(".");
    address.parse::<Ipv4Addr>().is_ok_and(|ip| ip.octets()[1..] != [0, 0, 0]) && !is_nobodys(&address)
}

/// A card's digits begin and end where a group does.
fn without_cards(text: &str) -> Cow<'_, str> {
    DIGITS.replace_all(text, |found: &Captures<'_>| {
        let all = &found[0];
        let mut groups = Vec::new();
        let mut begin = 0;
        for (index, _) in all.match_indices([' ', '-']).chain([(all.len(), "")]) {
            groups.push(begin..index);
            begin = index + 1;
        }
        let (mut kept, mut from, mut first) = (String::new(), 0, 0);
        while let Some(start) = groups.get(first).map(|group| group.start) {
            // The longest first, so that none of its digits is left.
            let card = (first..groups.len()).rev().find(|last| is_card(&all[start..groups[*last].end]));
            if let Some(last) = card {
                kept.push_str(&all[from..start]);
                kept.push_str("[card]");
                from = groups[last].end;
                first = last + 1;
            } else {
                first += 1;
            }
        }
        kept.push_str(&all[from..]);
        kept
    })
}

/// Times such as `12:30:05` are no addresses, and neither are paths such as `std::fmt` or `a::b`.
fn without_ip6(text: &str) -> Cow<'_, str> {
    COLONS.replace_all(text, |found: &Captures<'_>| {
        let all = &found[0];
        let colons: Vec<usize> = all.match_indices(':').map(|(index, _)| index).collect();
        let (mut kept, mut from) = (String::new(), 0);
        // Where one may begin: at the beginning, behind each colon, and at one, as `::1` does.
        let mut starts: Vec<usize> = colons.iter().flat_map(|colon| [*colon, *colon + 1]).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts {
            if start < from {
                continue;
            }
            // It has at most eight colons, and ends before one or with the text.
            let next = colons.partition_point(|colon| *colon < start);
            let ends = colons[next..].iter().take(9).copied().chain((colons.len() - next <= 8).then_some(all.len()));
            let ends: Vec<usize> = ends.collect();
            if let Some(end) = ends.into_iter().rev().find(|end| is_ip6(all.get(start..*end).unwrap_or_default())) {
                kept.push_str(&all[from..start]);
                kept.push_str("[ip]");
                from = end;
            }
        }
        kept.push_str(&all[from..]);
        kept
    })
}

fn is_ip6(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok() && !is_nobodys(text)
}

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
    let count = text.bytes().filter(u8::is_ascii_digit).count();
    (13..=19).contains(&count)
        && sum.is_multiple_of(10)
        && text.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0')
}

/// The machine itself, or any: it says of nobody where he is.
fn is_nobodys(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("auth:key:sk-proj-abcDEF123_456", "auth:key:[secret]"),
            ("id:user:ann@example.org", "id:user:[email]"),
            ("src:tcp:203.0.113.9", "src:tcp:[ip]"),
            ("src:2001:db8::1:dst:2001:db8::2", "src:[ip]:dst:[ip]"),
            ("4111 1111 1111 1111 12/27", "[card] 12/27"),
            ("4111111111111111 123", "[card] 123"),
            ("status 402 4111111111111111", "status 402 [card]"),
            ("auth_sk-abcdefgh12 task-sk-proj-abcdefgh", "auth_[secret] task-[secret]"),
            ("BEARER abcdef basic dXNlcjpwYXNz", "[secret] [secret]"),
            ("hf_abcdefghijklmnopqrst,AKIAABCDEFGHIJKLMNOP", "[secret],[secret]"),
            ("203.0.113.9.", "[ip]."),
            ("v203.0.113.9x", "v[ip]x"),
        ] {
            assert_eq!(redact(text), masked);
        }
    }

    #[test]
    fn what_the_configuration_has_is_masked_whatever_it_looks_like() {
        know(["of-a-provider.1", "none"]);
        assert_eq!(redact("key of-a-provider.1! of-a-providerx1 none"), "key [secret]! of-a-providerx1 none");
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
            "task-processing risk-assessment-12345678",
            "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0 Safari/537.36",
            "999.1.1.1 1.2.3",
            "2026-11-25 12:30:05 402 17",
        ] {
            assert_eq!(redact(text), text);
        }
        assert_eq!(redact_named("server.address", "192.0.2.1"), "192.0.2.1");
        assert_eq!(redact_named("other", "192.0.2.1"), "[ip]");
    }

    /// Each with what must not be found of it.
    const CANARIES: [&str; 12] = [
        "gob_abcdefghijkl_0123",
        "sk-proj-abcDEF123_456",
        "sk-ant-api03-abcdefgh1234",
        "AIzaSyA1234567890abcdefg",
        "eyJhbGciOi.eyJzdWIi.c2ln",
        "Bearer abc.def-1",
        "ann.b+c@example.co.uk",
        "203.0.113.9",
        "2001:db8::9f",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0000-0000-0004",
    ];

    proptest! {
        #[test]
        fn none_is_hidden_by_what_stands_beside_it(
            before in "\\PC{0,20}[ ,;='\"(<{|/:_]",
            after in "[ ,;'\")>}|/?&]\\PC{0,20}",
            canary in 0..CANARIES.len(),
        ) {
            let canary = CANARIES[canary];
            let redacted = redact(&format!("{before}{canary}{after}")).into_owned();
            prop_assert!(!redacted.contains(canary), "{}", redacted);
        }

        #[test]
        fn any_text_is_read(text in "[0-9a-f:. \\-@]{0,60}|\\PC{0,60}") {
            let _ = redact(&text);
        }
    }
}
