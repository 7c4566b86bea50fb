//! The operations, one by one.

use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, Ref, Required, Schema,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::Type,
    security::SecurityRequirement,
};

use super::{
    PATH,
    answers::{self, Form, Stream, Success},
    conversations::CONVERSATIONS,
    errors::{ErrorShape, ErrorsOf},
    examples,
};

/// The key, or a token of the issuer that is configured (a JWT), as a bearer token.
pub(super) const BEARER: &str = "bearer";
/// The key in a field of its own.
pub(super) const API_KEY: &str = "api_key";

/// The method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// An operation of the service.
pub(super) struct Described {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// The schema of the request's body by its name, where it has one.
    pub(super) body: Option<&'static str>,
    /// A body that is taken as it is.
    pub(super) example: fn() -> Value,
    pub(super) success: Success,
    pub(super) errors: ErrorsOf,
    pub(super) error_shape: ErrorShape,
    /// Fields of the request, and what they are for.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// Parameters of the query, and what they are for.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// It is for everybody, with or without key.
    pub(super) open: bool,
}

const TRACEPARENT: (&str, &str) = ("traceparent", "W3C Trace Context of the caller, which is continued.");

/// One that takes no body and calls nobody.
pub(super) const PLAIN: Described = Described {
    method: Method::Get,
    path: "",
    id: "",
    summary: "",
    body: None,
    example: || Value::Null,
    success: Success { status: "200", form: Form::Json, schema: None, stream: None, planned: false },
    errors: ErrorsOf::Plain,
    error_shape: ErrorShape::OpenAi,
    fields: &[TRACEPARENT],
    query: &[],
    open: false,
};

const PLANNED: Described = Described {
    method: Method::Post,
    success: Success { planned: true, ..PLAIN.success },
    errors: ErrorsOf::Planned,
    ..PLAIN
};

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Described> {
    OPERATIONS.iter().chain(&CONVERSATIONS)
}

/// All but those of conversations.
const OPERATIONS: [Described; 7] = [
    Described {
        path: "/v1/chat/completions",
        id: "createChatCompletion",
        summary: "Answers a conversation, in OpenAI's shape",
        body: Some("ChatCompletionRequest"),
        example: examples::chat_completion,
        success: Success {
            schema: Some("ChatCompletion"),
            stream: Some(Stream {
                data: "ChatCompletionChunk",
                description: "With `stream`: events whose data are chunks, with comments in silence. The last is `[DONE]`; \
                              where it is missing, an event with an error tells why.",
            }),
            ..PLANNED.success
        },
        ..PLANNED
    },
    Described {
        path: "/v1/messages",
        id: "createMessage",
        summary: "Answers a conversation, in Anthropic's shape",
        body: Some("MessagesRequest"),
        example: examples::message,
        success: Success {
            schema: Some("Message"),
            stream: Some(Stream {
                data: "MessagesEvent",
                description: "With `stream`: events from `message_start` to `message_stop`, with comments in \
                              silence. Where the latter is missing, an event `error` tells why.",
            }),
            ..PLANNED.success
        },
        error_shape: ErrorShape::Anthropic,
        fields: &[
            TRACEPARENT,
            ("anthropic-version", "Version of the API, as its SDKs send it."),
            ("anthropic-beta", "Names of beta features with commas between; they go on to Anthropic's own server."),
        ],
        ..PLANNED
    },
    Described {
        path: "/v1/embeddings",
        id: "createEmbeddings",
        summary: "Embeds texts",
        body: Some("EmbeddingsRequest"),
        example: examples::embeddings,
        success: Success { schema: Some("EmbeddingList"), ..PLANNED.success },
        ..PLANNED
    },
    Described {
        path: "/v1/models",
        id: "listModels",
        summary: "Lists what can be asked for",
        success: Success { schema: Some("ModelList"), ..PLAIN.success },
        ..PLAIN
    },
    Described { path: PATH, id: "describe", summary: "This document", errors: ErrorsOf::Open, open: true, ..PLAIN },
    Described {
        path: "/healthz",
        id: "isAlive",
        summary: "Whether the program is alive",
        success: Success { schema: Some("Health"), ..PLAIN.success },
        errors: ErrorsOf::Alive,
        open: true,
        ..PLAIN
    },
    Described {
        path: "/readyz",
        id: "isReady",
        summary: "Whether requests should be sent here",
        success: Success { schema: Some("Health"), ..PLAIN.success },
        errors: ErrorsOf::Ready,
        open: true,
        ..PLAIN
    },
];

impl Described {
    fn parameters(&self) -> Vec<Parameter> {
        let id = self.path.contains("{id}").then(|| parameter(ParameterIn::Path, "id", "The conversation's id."));
        let query = self.query.iter().map(|(name, description)| parameter(ParameterIn::Query, name, description));
        let fields = self.fields.iter().map(|(name, description)| parameter(ParameterIn::Header, name, description));
        id.into_iter().chain(query).chain(fields).collect()
    }

    /// As the document says it.
    pub(super) fn describe(&self) -> Operation {
        let operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .parameters(Some(self.parameters()))
            .responses(answers::describe(self.success, self.errors, self.error_shape));
        let operation = match self.body {
            Some(schema) => {
                let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
                let content = content.example(Some((self.example)())).build();
                let body = RequestBodyBuilder::new().content("application/json", content);
                operation.request_body(Some(body.required(Some(Required::True)).build()))
            }
            None => operation,
        };
        if self.open {
            return operation.build();
        }
        let key = |name: &str| SecurityRequirement::new(name, [""; 0]);
        operation.security(key(BEARER)).security(key(API_KEY)).build()
    }
}

fn parameter(place: ParameterIn, name: &str, description: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(Schema::from(ObjectBuilder::new().schema_type(Type::String))))
        .build()
}
