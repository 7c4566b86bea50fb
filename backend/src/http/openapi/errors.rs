//! Errors: their shapes, and which of them an operation has.

use goblin_shared::error_body::ErrorCode;
use utoipa::openapi::{
    Object, ObjectBuilder, Ref, RefOr, Schema,
    schema::{SchemaType, Type},
};

/// The shape of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorShape {
    /// `{"error":{…}}`.
    OpenAi,
    /// `{"type":"error","error":{…}}`.
    Anthropic,
}

impl ErrorShape {
    pub(super) const ALL: [Self; 2] = [Self::OpenAi, Self::Anthropic];

    /// Its name in the document.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "Error",
            Self::Anthropic => "AnthropicError",
        }
    }

    /// A reference to it.
    pub(super) fn reference(self) -> RefOr<Schema> {
        Ref::from_schema_name(self.name()).into()
    }

    /// What it is: codes are all that there are, by the list that both hops share.
    pub(super) fn schema(self) -> Schema {
        let codes = words("Stable, for programs.", ErrorCode::ALL.iter().map(|code| code.as_str()));
        let body = ObjectBuilder::new()
            .property("message", text("What to do about it, in a sentence."))
            .required("message")
            .property("type", text("The class of errors that the vendor's SDKs know."))
            .required("type")
            .property("code", codes)
            .required("code")
            .property("param", nullable_text("The field at fault by its path, such as `messages[2].content[0]`."));
        let request_id = text("Id of the request, as in the field `x-request-id`.");
        match self {
            Self::OpenAi => {
                let body = body.required("param").property("request_id", request_id).required("request_id");
                ObjectBuilder::new().property("error", body).required("error").into()
            }
            Self::Anthropic => ObjectBuilder::new()
                .property("type", words("Always `error`.", ["error"]))
                .required("type")
                .property("error", body)
                .required("error")
                .property("request_id", request_id)
                .required("request_id")
                .into(),
        }
    }
}

fn text(description: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build()
}

fn nullable_text(description: &str) -> Object {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).description(Some(description)).build()
}

fn words<'a>(description: &str, words: impl IntoIterator<Item = &'a str>) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.enum_values(Some(words)).build()
}

/// Which errors an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorsOf {
    /// One that takes a body and calls a provider.
    Planned,
    /// One that tells what the service knows.
    Plain,
    /// The same, for everybody.
    Open,
    /// One about what is kept of conversations.
    Conversations {
        /// It takes a body.
        has_body: bool,
        /// It is about one of them.
        has_id: bool,
    },
    /// A probe that always answers.
    Alive,
    /// A probe that refuses while nothing can be served.
    Ready,
}

impl ErrorsOf {
    /// The statuses, each with its codes.
    pub(super) fn by_status(self) -> Vec<(u16, Vec<&'static str>)> {
        let mut statuses: Vec<(u16, Vec<&'static str>)> = Vec::new();
        for code in ErrorCode::ALL.iter().filter(|code| self.has(**code)) {
            match statuses.last_mut() {
                Some((status, codes)) if *status == code.status() => codes.push(code.as_str()),
                _ => statuses.push((code.status(), vec![code.as_str()])),
            }
        }
        statuses
    }

    fn has(self, code: ErrorCode) -> bool {
        use ErrorCode as E;
        let is_of_path = matches!(code, E::NotFound | E::MethodNotAllowed);
        let is_of_body_or_provider = matches!(
            code,
            E::InvalidJson
                | E::InvalidField
                | E::InvalidRequest
                | E::ContextLengthExceeded
                | E::BodyTooLarge
                | E::UnsupportedMediaType
                | E::ModelNotFound
                | E::ProviderFailed
                | E::NoProvider
                | E::ProviderOverloaded
                | E::ProviderTimeout
        );
        match self {
            Self::Planned => !is_of_path,
            Self::Plain => !is_of_path && !is_of_body_or_provider,
            Self::Open => {
                let is_of_credential =
                    matches!(code, E::AuthenticationRequired | E::InvalidToken | E::InsufficientScope);
                Self::Plain.has(code) && !is_of_credential
            }
            Self::Conversations { has_body, has_id } => match code {
                E::InvalidField => true,
                E::InvalidJson | E::BodyTooLarge | E::UnsupportedMediaType => has_body,
                E::ConversationNotFound => has_id,
                E::BudgetExceeded | E::PriceUnknown | E::AlreadyClaimed => false,
                _ => Self::Plain.has(code),
            },
            Self::Alive => false,
            Self::Ready => {
                code.status() == 503 && matches!(code, E::NoProvider | E::ShuttingDown | E::BackendUnreachable)
            }
        }
    }
}
