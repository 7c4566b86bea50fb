//! Which of the three wire formats a request is in, and what it asks for: its path says both.

use http::{Method, Response, Uri};

use super::{anthropic, gemini, openai, playing::answer_of};
use crate::http_peer::{AnswerBody, ReceivedRequest};

/// A wire format and those who speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// OpenAI and the many servers that speak as it does.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini.
    Gemini,
}

impl Family {
    /// All three.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Gemini];

    /// Path of the base URL, as each one's own clients write it.
    #[must_use]
    pub fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1",
            Self::Anthropic => "",
            Self::Gemini => "/v1beta",
        }
    }

    /// An error as this family words it.
    pub(super) fn error(self, status: u16, message: &str) -> Response<AnswerBody> {
        answer_of(status, "application/json", self.error_body(status, message))
    }

    /// Body of that error.
    pub(crate) fn error_body(self, status: u16, message: &str) -> String {
        match self {
            Self::OpenAi => openai::error_body(status, message, None),
            Self::Anthropic => anthropic::error_body(status, message),
            Self::Gemini => gemini::error_body(status, message, None),
        }
        .to_string()
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The next message of a conversation.
    Chat,
    /// Vectors of texts.
    Embeddings,
    /// The vector of one text, which only Gemini has apart.
    Embedding,
}

/// A request's family and aim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) family: Family,
    pub(super) wanted: Wanted,
    /// The model where the path names it; otherwise the body does.
    pub(super) model: Option<String>,
    /// Whether the path asks for a stream; the body may, elsewhere.
    pub(crate) streams: bool,
}

impl Call {
    /// Reads method and path; `None` when no family has them.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        let of = |family, wanted| Some(Self { family, wanted, model: None, streams: false });
        match uri.path() {
            "/v1/chat/completions" => of(Family::OpenAi, Wanted::Chat),
            "/v1/embeddings" => of(Family::OpenAi, Wanted::Embeddings),
            "/v1/messages" => of(Family::Anthropic, Wanted::Chat),
            path => match path.strip_prefix("/openai/deployments/") {
                Some(rest) => Self::of_azure(rest),
                None => Self::of_gemini(path.strip_prefix("/v1beta/models/")?, uri.query()),
            },
        }
    }

    fn of_azure(rest: &str) -> Option<Self> {
        let (model, operation) = rest.split_once('/')?;
        let wanted = match operation {
            "chat/completions" => Wanted::Chat,
            "embeddings" => Wanted::Embeddings,
            _ => return None,
        };
        Some(Self { family: Family::OpenAi, wanted, model: Some(model.to_owned()), streams: false })
    }

    fn of_gemini(rest: &str, query: Option<&str>) -> Option<Self> {
        let (model, method) = rest.split_once(':')?;
        let wanted = match method {
            "generateContent" | "streamGenerateContent" => Wanted::Chat,
            "batchEmbedContents" => Wanted::Embeddings,
            "embedContent" => Wanted::Embedding,
            _ => return None,
        };
        let streams = method == "streamGenerateContent";
        // Without it the real one streams a JSON array, which nobody here wants.
        if streams && !query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse")) {
            return None;
        }
        Some(Self { family: Family::Gemini, wanted, model: Some(model.to_owned()), streams })
    }
}

/// The answer to a path that no family has, in the words of the one that it resembles.
pub(super) fn unknown_path(request: &ReceivedRequest) -> Response<AnswerBody> {
    let path = request.uri.path();
    let family = if path.starts_with("/v1beta") {
        Family::Gemini
    } else if path.contains("messages") {
        Family::Anthropic
    } else {
        Family::OpenAi
    };
    family.error(404, &format!("the upstream of the tests has no {} {}", request.method, request.uri))
}
