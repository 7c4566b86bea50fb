//! What clients of several kinds say of themselves.

use std::sync::atomic::{AtomicU16, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::RequestBuilder;

/// `DEV_ADDRESS_HEADER` of the tests' edges.
pub(crate) const ADDRESS_HEADER: &str = "x-dev-address";

/// Chrome's name.
pub(crate) const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
/// What Chrome calls itself when nobody sees it.
pub(crate) const HEADLESS_CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15";

pub(crate) const GPTBOT: &str =
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)";
pub(crate) const CURL: &str = "curl/8.15.0";

/// What a page's script sends in any browser when it fetches from another site.
const FETCH: [(&str, &str); 7] = [
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("origin", "https://chat.example"),
    ("referer", "https://chat.example/"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "cross-site"),
];

/// A browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Browser {
    Chrome,
    Firefox,
    Safari,
}

impl Browser {
    pub(crate) const ALL: [Self; 3] = [Self::Chrome, Self::Firefox, Self::Safari];

    fn own_fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Chrome => &[
                ("user-agent", CHROME),
                ("accept-language", "en-US,en;q=0.9"),
                ("priority", "u=1, i"),
                ("sec-ch-ua", "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\""),
                ("sec-ch-ua-mobile", "?0"),
                ("sec-ch-ua-platform", "\"Windows\""),
            ],
            Self::Firefox => &[("user-agent", FIREFOX), ("accept-language", "en-US,en;q=0.5"), ("priority", "u=4")],
            Self::Safari => &[("user-agent", SAFARI), ("accept-language", "en-GB,en;q=0.9"), ("priority", "u=3, i")],
        }
    }
}

/// An address that no other test has, of a network that is set apart for tests (RFC 2544).
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("198.18.{high}.{low}")
}

/// How a request is dressed.
pub(crate) trait Head: Sized {
    /// The head with which a browser sends what a page's script fetches.
    fn dressed_as(self, browser: Browser) -> Self;
    /// A User-Agent instead of what was said before.
    fn named(self, name: &str) -> Self;
    /// A client's address, as the edge is to take it.
    fn coming_from(self, address: &str) -> Self;
}

impl Head for RequestBuilder {
    fn dressed_as(self, browser: Browser) -> Self {
        let fields = FETCH.iter().chain(browser.own_fields());
        let fields = fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        self.headers(fields.collect())
    }

    fn named(self, name: &str) -> Self {
        self.headers(one("user-agent", name))
    }

    fn coming_from(self, address: &str) -> Self {
        self.headers(one(ADDRESS_HEADER, address))
    }
}

/// `RequestBuilder::headers` replaces what `RequestBuilder::header` adds to.
fn one(name: &'static str, value: &str) -> HeaderMap {
    let value = HeaderValue::from_str(value).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    HeaderMap::from_iter([(HeaderName::from_static(name), value)])
}
