//! What a provider speaks, and which API its client asks: answers pass through, or are translated.

use goblin_tests::{fault_server::Fault, upstream::Family};
use serde_json::{Value, json};

use super::asking::Form;

/// An API of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// OpenAI's.
    Chat,
    /// Anthropic's.
    Messages,
}

/// A provider's family and the API of those who ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) family: Family,
    pub(super) api: Api,
}

impl Speech {
    /// The one of which the page tells; nothing is translated.
    pub(super) const OPENAI: Self = Self { family: Family::OpenAi, api: Api::Chat };

    /// The others. Of two the answers are translated, of one they pass.
    pub(super) const OTHERS: [Self; 3] = [
        Self { family: Family::Anthropic, api: Api::Chat },
        Self { family: Family::Anthropic, api: Api::Messages },
        Self { family: Family::Gemini, api: Api::Chat },
    ];

    /// Faults that are read in the words of a family. All else goes wrong before anybody speaks.
    pub(super) const FAULTS: [Fault; 17] = [
        Fault::BadRequest,
        Fault::Unauthorized,
        Fault::Forbidden,
        Fault::RateLimited,
        Fault::RateLimitedWithRetryAfter,
        Fault::InternalError,
        Fault::Overloaded,
        Fault::CutBeforeContent,
        Fault::CutInEvent,
        Fault::CutAfterContent,
        Fault::Garbage,
        Fault::WrongContentType,
        Fault::EmptyBody,
        Fault::NothingSaid,
        Fault::ReportedOverload,
        Fault::ReportedError,
        Fault::ReportedRejection,
    ];

    /// As keys in the catalogue have it.
    pub(super) fn name(self) -> &'static str {
        match (self.family, self.api) {
            (Family::OpenAi, Api::Chat) => "openai",
            (Family::OpenAi, Api::Messages) => "openai_messages",
            (Family::Anthropic, Api::Chat) => "anthropic_chat",
            (Family::Anthropic, Api::Messages) => "anthropic",
            (Family::Gemini, Api::Chat) => "gemini",
            (Family::Gemini, Api::Messages) => "gemini_messages",
        }
    }

    /// The setting `family` of a provider.
    pub(super) fn family_name(self) -> &'static str {
        match self.family {
            Family::OpenAi => "openai",
            Family::Anthropic => "anthropic",
            Family::Gemini => "gemini",
        }
    }
}

impl Api {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// The text of an answer in one piece.
    pub(super) fn text_of_whole(self, answer: &Value) -> Option<&str> {
        match self {
            Self::Chat => answer["choices"][0]["message"]["content"].as_str(),
            Self::Messages => answer["content"][0]["text"].as_str(),
        }
    }

    /// All text of a stream.
    pub(super) fn text_of_stream(self, events: &[String]) -> String {
        let text = |data: Value| match self {
            Self::Chat => data["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
            Self::Messages => data["delta"]["text"].as_str().map(str::to_owned),
        };
        events.iter().filter_map(|event| text(serde_json::from_str(data(event)).ok()?)).collect()
    }

    /// Whether an event is the last one of a whole stream.
    pub(super) fn is_end(self, event: &str) -> bool {
        match self {
            Self::Chat => event == "data: [DONE]",
            Self::Messages => event.starts_with("event: message_stop\n"),
        }
    }

    /// Whether an event says why an answer ends, as the last ones of a whole stream do.
    pub(super) fn says_why(self, event: &str) -> bool {
        match self {
            Self::Chat => event.contains(r#""finish_reason":""#),
            Self::Messages => event.contains(r#""stop_reason":""#),
        }
    }

    /// The code of the error in a body or an event, which has to be of this API's shape. `request_id` is what the head
    /// says.
    pub(super) fn code_of_error(self, error: &str, request_id: &str) -> String {
        let error: Value = serde_json::from_str(error).unwrap_or_else(|why| panic!("{why} in {error}"));
        let id = match self {
            Self::Chat => &error["error"]["request_id"],
            Self::Messages => &error["request_id"],
        };
        assert_eq!(id, request_id, "{error}");
        assert_eq!(error["type"] == "error", self == Self::Messages, "{error}");
        assert!(error["error"]["type"].is_string() && error["error"]["message"].is_string(), "{error}");
        error["error"]["code"].as_str().unwrap_or_else(|| panic!("no code in {error}")).to_owned()
    }
}

/// A request that either API takes.
pub(super) fn request(model: &str, form: Form) -> Value {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    json!({"model": model, "messages": messages, "max_tokens": 100, "stream": form == Form::Streamed})
}

/// What stands behind `data: ` in an event.
pub(super) fn data(event: &str) -> &str {
    event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default()
}
