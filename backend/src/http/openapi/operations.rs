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
    answers::{self, Stream, Success},
    errors::{ErrorShape, ErrorsOf},
    examples,
};

/// The key as a bearer token.
pub(super) const BEARER: &str = "bearer";
/// The key in a field of its own.
pub(super) const API_KEY: &str = "api_key";

/// An operation of the service.
pub(super) struct Described {
    pub(super) path: &'static str,
    id: &'static str,
    summary: &'static str,
    /// The schema of the request's body by its name; operations that have one are POST, the others GET.
    body: Option<&'static str>,
    /// A body that is taken as it is.
    example: fn() -> Value,
    success: Success,
    errors: ErrorsOf,
    error_shape: ErrorShape,
    /// Fields of the request, and what they are for.
    fields: &'static [(&'static str, &'static str)],
    /// It is for everybody, with or without key.
    open: bool,
}

const TRACEPARENT: (&str, &str) = ("traceparent", "W3C Trace Context of the caller, which is continued.");

const PLAIN: Described = Described {
    path: "",
    id: "",
    summary: "",
    body: None,
    example: || Value::Null,
    success: Success { schema: None, stream: None, planned: false },
    errors: ErrorsOf::Plain,
    error_shape: ErrorShape::OpenAi,
    fields: &[TRACEPARENT],
    open: false,
};

const PLANNED: Described =
    Described { success: Success { planned: true, ..PLAIN.success }, errors: ErrorsOf::Planned, ..PLAIN };

/// All of them.
pub(super) const OPERATIONS: [Described; 7] = [
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
    Described { path: PATH, id: "describe", summary: "This document", ..PLAIN },
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
    /// Whether its method is POST.
    pub(super) const fn is_post(&self) -> bool {
        self.body.is_some()
    }

    /// As the document says it.
    pub(super) fn describe(&self) -> Operation {
        let operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .parameters(Some(self.fields.iter().map(field)))
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

fn field(&(name, description): &(&'static str, &'static str)) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(Schema::from(ObjectBuilder::new().schema_type(Type::String))))
        .build()
}
