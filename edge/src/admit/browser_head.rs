//! Heads that no real browser sends.
//!
//! Only what browsers cannot help sending is judged: fields that the Fetch standard makes them add, and hints that only
//! one family has. What add-ons and privacy settings change is left alone.
//! Sources: Fetch standard (`accept`, `accept-language`), Fetch Metadata Request Headers (`sec-fetch-*`: Chrome 76,
//! Firefox 90, Safari 16.4; to trustworthy URLs only), User-Agent Client Hints (`sec-ch-ua`: Chromium only).

use crate::facts::RequestFacts;

/// What is wrong with a head that claims to be a browser's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// `accept` or `accept-language` is missing: every browser sends both.
    MissingAccept,
    /// `sec-fetch-site` is missing on https from a version that sends it.
    MissingFetchMetadata,
    /// A field of `sec-fetch-*` has a value that does not exist, or that contradicts another.
    WrongFetchMetadata,
    /// Client hints of Chromium from a browser of another family.
    ForeignHints,
    /// Client hints name another version than the User-Agent.
    OtherVersion,
}

impl Impossible {
    /// For telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingAccept => "missing_accept",
            Self::MissingFetchMetadata => "missing_fetch_metadata",
            Self::WrongFetchMetadata => "wrong_fetch_metadata",
            Self::ForeignHints => "foreign_hints",
            Self::OtherVersion => "other_version",
        }
    }
}

/// Looks for a contradiction. `None` for a head without one, and for whatever does not claim to be a browser.
#[must_use]
pub fn contradiction(facts: &RequestFacts) -> Option<Impossible> {
    let user_agent = facts.header("user-agent")?;
    let chrome = major(user_agent, "Chrome/").or_else(|| major(user_agent, "Chromium/"));
    let firefox = major(user_agent, "Firefox/");
    let is_safari = chrome.is_none() && user_agent.contains("AppleWebKit/") && user_agent.contains("Safari/");
    if !user_agent.starts_with("Mozilla/5.0 (") || !(chrome.is_some() || firefox.is_some() || is_safari) {
        return None;
    }
    if facts.header("accept").is_none() || facts.header("accept-language").is_none() {
        return Some(Impossible::MissingAccept);
    }
    let site = facts.header("sec-fetch-site");
    let sends_metadata = chrome.is_some_and(|major| major >= 90) || firefox.is_some_and(|major| major >= 90);
    // Web views of old apps switch parts of the engine off.
    let is_web_view = user_agent.contains("; wv)");
    if site.is_none() && sends_metadata && !is_web_view && facts.scheme() == "https" {
        return Some(Impossible::MissingFetchMetadata);
    }
    if wrong_metadata(facts) {
        return Some(Impossible::WrongFetchMetadata);
    }
    let hints = facts.header("sec-ch-ua")?;
    if chrome.is_none() {
        return Some(Impossible::ForeignHints);
    }
    let hinted = hints.split(',').find(|brand| brand.contains("\"Chromium\"")).and_then(|brand| major(brand, "v=\""));
    (hinted.is_some() && hinted != chrome).then_some(Impossible::OtherVersion)
}

fn wrong_metadata(facts: &RequestFacts) -> bool {
    let unknown = |name: &str, known: &[&str]| facts.header(name).is_some_and(|value| !known.contains(&value));
    let mode = facts.header("sec-fetch-mode");
    let navigates = mode == Some("navigate");
    unknown("sec-fetch-site", &["cross-site", "same-origin", "same-site", "none"])
        || unknown("sec-fetch-mode", &["cors", "navigate", "no-cors", "same-origin", "websocket"])
        || unknown("sec-fetch-user", &["?1"])
        // A navigation has a document for its destination, and cannot send JSON.
        || (navigates && facts.header("sec-fetch-dest") == Some("empty"))
        || (navigates && facts.header("content-type").is_some_and(|kind| kind.starts_with("application/json")))
        // Reading an answer across origins is what `no-cors` cannot do, and JSON cannot be sent with it.
        || (mode == Some("no-cors") && facts.header("content-type").is_some_and(|kind| kind.contains("json")))
}

/// The number behind `mark`.
fn major(text: &str, mark: &str) -> Option<u32> {
    let rest = &text[text.find(mark)? + mark.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15";

    /// A `fetch()` of a page on another site.
    fn head(user_agent: &str, hints: Option<&str>) -> RequestFacts {
        let mut fields = vec![
            ("user-agent", user_agent),
            ("accept", "*/*"),
            ("accept-language", "de,en;q=0.8"),
            ("content-type", "application/json"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ];
        fields.extend(hints.map(|hints| ("sec-ch-ua", hints)));
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        RequestFacts { url: "https://edge.example/v1/models".into(), fields, ..RequestFacts::default() }
    }

    fn with(mut facts: RequestFacts, name: &str, value: Option<&str>) -> RequestFacts {
        facts.fields.retain(|(known, _)| known != name);
        facts.fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        facts
    }

    const HINTS: &str = r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#;

    #[test]
    fn real_heads_have_no_contradiction() {
        for facts in [
            head(CHROME, Some(HINTS)),
            head(CHROME, None),
            head(FIREFOX, None),
            head(SAFARI, None),
            with(head(SAFARI, None), "sec-fetch-site", None),
            with(head(&CHROME.replace("Win64; x64", "wv"), None), "sec-fetch-site", None),
            with(head(&CHROME.replace("Chrome/142", "Chrome/75"), None), "sec-fetch-site", None),
            // Without TLS no browser sends metadata.
            RequestFacts {
                url: "http://192.0.2.1/v1/models".into(),
                ..with(head(CHROME, None), "sec-fetch-site", None)
            },
            with(with(head(CHROME, None), "sec-fetch-mode", Some("navigate")), "content-type", None)
                .tap_destination("document"),
        ] {
            assert_eq!(contradiction(&facts), None, "{facts:?}");
        }
    }

    impl RequestFacts {
        fn tap_destination(self, destination: &str) -> Self {
            with(self, "sec-fetch-dest", Some(destination))
        }
    }

    #[test]
    fn each_contradiction_is_found() {
        let chrome = || head(CHROME, Some(HINTS));
        for (facts, expected) in [
            (with(chrome(), "accept", None), Impossible::MissingAccept),
            (with(head(SAFARI, None), "accept-language", None), Impossible::MissingAccept),
            (with(chrome(), "sec-fetch-site", None), Impossible::MissingFetchMetadata),
            (with(head(FIREFOX, None), "sec-fetch-site", None), Impossible::MissingFetchMetadata),
            (with(chrome(), "sec-fetch-site", Some("other")), Impossible::WrongFetchMetadata),
            (with(chrome(), "sec-fetch-mode", Some("fetch")), Impossible::WrongFetchMetadata),
            (with(chrome(), "sec-fetch-user", Some("?0")), Impossible::WrongFetchMetadata),
            (with(chrome(), "sec-fetch-mode", Some("navigate")), Impossible::WrongFetchMetadata),
            (with(chrome(), "sec-fetch-mode", Some("no-cors")), Impossible::WrongFetchMetadata),
            (head(FIREFOX, Some(HINTS)), Impossible::ForeignHints),
            (head(SAFARI, Some(HINTS)), Impossible::ForeignHints),
            (head(CHROME, Some(r#""Chromium";v="120""#)), Impossible::OtherVersion),
        ] {
            assert_eq!(contradiction(&facts), Some(expected), "{facts:?}");
        }
    }

    #[test]
    fn what_claims_to_be_no_browser_is_not_judged() {
        for user_agent in ["curl/8.5.0", "OpenAI/JS 7.57.0", "Mozilla/5.0 (compatible; x)", "Chrome/142", ""] {
            let facts = with(RequestFacts::default(), "user-agent", Some(user_agent));
            assert_eq!(contradiction(&facts), None, "{user_agent}");
        }
        assert_eq!(contradiction(&RequestFacts::default()), None);
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for user_agent in ["Mozilla/5.0 (Chrome/", "Mozilla/5.0 (Chrome/99999999999999", "Mozilla/5.0 (Firefox/é"] {
            let _ = contradiction(&head(user_agent, Some("\"Chromium\";v=\"")));
        }
    }
}
