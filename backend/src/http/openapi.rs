//! `GET /openapi.json`: what the service takes and answers, as an `OpenAPI` document made from the types that are written and the
//! codes that errors have.

mod answers;
mod conversations;
mod errors;
mod examples;
mod operations;
mod shapes;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::openapi::{
    Components, ComponentsBuilder, HttpMethod, Info, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use self::{errors::ErrorShape, operations::Method};

/// The document's own path.
pub(super) const PATH: &str = "/openapi.json";

/// The document.
pub(crate) fn document() -> OpenApi {
    let paths = operations::all().fold(PathsBuilder::new(), |paths, operation| {
        let method = match operation.method {
            Method::Get => HttpMethod::Get,
            Method::Post => HttpMethod::Post,
            Method::Patch => HttpMethod::Patch,
            Method::Delete => HttpMethod::Delete,
        };
        paths.path(operation.path, PathItem::new(method, operation.describe()))
    });
    OpenApiBuilder::new().info(info()).paths(paths).components(Some(components())).build()
}

/// Serves it. It never changes while the program runs, and is written once.
pub(super) async fn serve() -> Response {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        let json = document().to_json();
        json.unwrap_or_else(|_| unreachable!("a document of texts always serializes")).into()
    });
    ([(CONTENT_TYPE, "application/json")], JSON.clone()).into_response()
}

fn info() -> Info {
    InfoBuilder::new()
        .title("Goblin Assistant")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A gateway to language models. It speaks OpenAI's and Anthropic's APIs, whichever provider answers. Members \
             of a request that are not described here go on to the provider, or are refused by their path where it has \
             no words for them.",
        ))
        .build()
}

fn components() -> Components {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key (`gob_…`), or a JWT of the issuer that the service is configured for."));
    let bearer = SecurityScheme::Http(bearer.build());
    let api_key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    let components = ComponentsBuilder::new()
        .security_scheme(operations::BEARER, bearer)
        .security_scheme(operations::API_KEY, api_key);
    let components = ErrorShape::ALL
        .into_iter()
        .fold(components, |components, shape| components.schema(shape.name(), shape.schema()));
    shapes::add(answers::add_headers(components)).build()
}
