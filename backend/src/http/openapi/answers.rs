//! Answers: their fields and bodies.

use goblin_shared::headers;
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Responses,
    ResponsesBuilder, Schema,
    header::Header,
    schema::{RefBuilder, Type},
};

use super::errors::{ErrorShape, ErrorsOf};

/// On every answer.
const ALWAYS: [&str; 2] = [headers::REQUEST_ID, headers::SERVER_TIMING];
/// On answers of providers.
const ANSWERED: [&str; 4] =
    [headers::GOBLIN_MODEL, headers::GOBLIN_CONTEXT_DROPPED, headers::RATE_LIMIT, headers::RATE_LIMIT_POLICY];

/// What an operation answers when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Success {
    /// Its status.
    pub(super) status: &'static str,
    /// What it is written as.
    pub(super) form: Form,
    /// The schema of its JSON by its name; `None` is any object.
    pub(super) schema: Option<&'static str>,
    /// What a stream is, where there are streams.
    pub(super) stream: Option<Stream>,
    /// A provider answers.
    pub(super) planned: bool,
}

/// What an answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON.
    Json,
    /// JSON, or Markdown where that is asked for; to be saved as a file.
    Document,
    /// Nothing at all.
    Empty,
}

/// A stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    /// The schema of each event's data by its name.
    pub(super) data: &'static str,
    /// What comes, and how it ends.
    pub(super) description: &'static str,
}

/// All answers of an operation.
pub(super) fn describe(success: Success, errors: ErrorsOf, shape: ErrorShape) -> Responses {
    let responses = ResponsesBuilder::new().response(success.status, well(success));
    let errors = errors.by_status().into_iter();
    errors
        .fold(responses, |responses, (status, codes)| {
            responses.response(status.to_string(), error(status, &codes, shape))
        })
        .build()
}

fn well(success: Success) -> Response {
    let schema: RefOr<Schema> = match success.schema {
        Some(name) => Ref::from_schema_name(name).into(),
        None => ObjectBuilder::new().schema_type(Type::Object).into(),
    };
    let response = with_headers(ResponseBuilder::new().description("The answer."), &ALWAYS);
    let response = match success.form {
        Form::Empty => return response.build(),
        Form::Json => response.content("application/json", Content::new(Some(schema))),
        Form::Document => {
            let text = Schema::from(ObjectBuilder::new().schema_type(Type::String));
            let json = response.content("application/json", Content::new(Some(schema)));
            json.content("text/markdown", Content::new(Some(text)))
        }
    };
    let response = if success.planned { with_headers(response, &ANSWERED) } else { response };
    let Some(Stream { data, description }) = success.stream else { return response.build() };
    let schema = RefBuilder::new().ref_location_from_schema_name(data).description(Some(description));
    response.content("text/event-stream", Content::new(Some(schema.build()))).build()
}

fn error(status: u16, codes: &[&str], shape: ErrorShape) -> Response {
    let response = ResponseBuilder::new()
        .description(format!("Codes: `{}`.", codes.join("`, `")))
        .content("application/json", Content::new(Some(shape.reference())));
    let response = with_headers(response, &ALWAYS);
    let response = match status {
        429 => with_headers(response, &[headers::RETRY_AFTER, headers::RATE_LIMIT, headers::RATE_LIMIT_POLICY]),
        503 => with_headers(response, &[headers::RETRY_AFTER]),
        _ => response,
    };
    response.build()
}

fn with_headers(response: ResponseBuilder, names: &[&str]) -> ResponseBuilder {
    names.iter().fold(response, |response, name| response.header_ref(*name, reference(name)))
}

fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// Adds the fields of answers.
pub(super) fn add_headers(components: ComponentsBuilder) -> ComponentsBuilder {
    let text = |description| header(Type::String, description);
    [
        (headers::REQUEST_ID, text("Id of the request: a UUID of version 7.")),
        (headers::SERVER_TIMING, text("The trace, and how long each hop took in milliseconds.")),
        (headers::GOBLIN_MODEL, text("Who answered, as `provider/model`.")),
        (
            headers::GOBLIN_CONTEXT_DROPPED,
            header(
                Type::Integer,
                "With `conversation_id`: how many turns were left out, where the model does not take all.",
            ),
        ),
        (headers::RETRY_AFTER, header(Type::Integer, "Seconds after which another try makes sense.")),
        (headers::RATE_LIMIT, text("What remains of the client's quotas.")),
        (headers::RATE_LIMIT_POLICY, text("The client's quotas.")),
    ]
    .into_iter()
    .fold(components, |components, (name, header)| components.header(name, header))
}

fn header(kind: Type, description: &str) -> Header {
    let schema = Schema::from(ObjectBuilder::new().schema_type(kind));
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
