//! Which URL is asked.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::{ports::Remote, wire::family::Family};

/// All but the unreserved characters of RFC 3986: what a model is called is one segment of a path.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Stands in a base URL for the provider's name of the model.
const MODEL: &str = "{model}";

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// A whole answer.
    Chat,
    /// An answer piece by piece.
    ChatStream,
    /// Vectors of texts.
    Embed,
}

/// Where a server is.
pub(super) struct Endpoint {
    family: Family,
    base_url: String,
    query: Option<String>,
}

/// Base URL and query make no URL.
#[derive(Debug, thiserror::Error)]
#[error("base_url and query do not make a URL")]
pub(crate) struct UnusableUrl;

impl Endpoint {
    /// `base_url` has no `/` at its end and may contain `{model}`; `query` has no `?`.
    pub(super) fn new(family: Family, base_url: String, query: Option<String>) -> Result<Self, UnusableUrl> {
        let endpoint = Self { family, base_url, query };
        endpoint.url(Operation::Chat, "model").map(|_| endpoint)
    }

    /// The URL of one call.
    pub(super) fn url(&self, operation: Operation, model: &str) -> Result<Url, UnusableUrl> {
        let model = utf8_percent_encode(model, RESERVED).to_string();
        let mut url = self.base_url.replace(MODEL, &model);
        match (self.family, operation) {
            (Family::OpenAi, Operation::Chat | Operation::ChatStream) => url.push_str("/chat/completions"),
            (Family::OpenAi, Operation::Embed) => url.push_str("/embeddings"),
            (Family::Anthropic, _) => url.push_str("/v1/messages"),
            (Family::Gemini, operation) => {
                url.extend([
                    "/models/",
                    &model,
                    ":",
                    match operation {
                        Operation::Chat => "generateContent",
                        // Without `alt=sse` it is one JSON array, piece by piece
                        // (https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent).
                        Operation::ChatStream => "streamGenerateContent?alt=sse",
                        Operation::Embed => "batchEmbedContents",
                    },
                ]);
            }
        }
        if let Some(query) = &self.query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(query);
        }
        url.parse().map_err(|_| UnusableUrl)
    }

    /// Host and port.
    pub(super) fn remote(&self) -> Option<Remote> {
        let url = self.url(Operation::Chat, "model").ok()?;
        let (host, port) = url.host_str().zip(url.port_or_known_default())?;
        Some(Remote { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(family: Family, base: &str, query: Option<&str>, operation: Operation, model: &str) -> String {
        let endpoint = Endpoint::new(family, base.to_owned(), query.map(str::to_owned)).unwrap();
        endpoint.url(operation, model).unwrap().to_string()
    }

    #[test]
    fn each_family_has_its_paths() {
        let openai = |operation| url(Family::OpenAi, "https://x/v1", None, operation, "m");
        assert_eq!(openai(Operation::Chat), "https://x/v1/chat/completions");
        assert_eq!(openai(Operation::ChatStream), "https://x/v1/chat/completions");
        assert_eq!(openai(Operation::Embed), "https://x/v1/embeddings");
        assert_eq!(url(Family::Anthropic, "https://x", None, Operation::ChatStream, "m"), "https://x/v1/messages");
        let gemini = |operation, query| url(Family::Gemini, "https://x/v1beta", query, operation, "m-1");
        assert_eq!(gemini(Operation::Chat, None), "https://x/v1beta/models/m-1:generateContent");
        assert_eq!(
            gemini(Operation::ChatStream, Some("a=b")),
            "https://x/v1beta/models/m-1:streamGenerateContent?alt=sse&a=b"
        );
        assert_eq!(gemini(Operation::Embed, Some("a=b")), "https://x/v1beta/models/m-1:batchEmbedContents?a=b");
    }

    #[test]
    fn a_model_in_the_url_stays_one_segment() {
        let base = "https://x/openai/deployments/{model}";
        let asked = url(Family::OpenAi, base, Some("api-version=1"), Operation::Chat, "a/../b?c#ä");
        assert_eq!(asked, "https://x/openai/deployments/a%2F..%2Fb%3Fc%23%C3%A4/chat/completions?api-version=1");
    }

    #[test]
    fn the_remote_has_the_port_of_its_scheme() {
        let endpoint = Endpoint::new(Family::OpenAi, "https://x.example/v1".to_owned(), None).unwrap();
        assert_eq!(endpoint.remote(), Some(Remote { host: "x.example".to_owned(), port: 443 }));
        assert!(Endpoint::new(Family::OpenAi, "x".to_owned(), None).is_err());
    }
}
