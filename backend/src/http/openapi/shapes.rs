//! The bodies of requests and answers.
//!
//! Those of chat are the types that translate between the vendors' formats.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, ObjectBuilder, RefOr, Schema,
        schema::{AnyOfBuilder, Type},
    },
};

use crate::{
    http::conversations::{
        ConversationExport, ConversationList, ConversationView, CreateConversation, RenameConversation, TurnList,
    },
    wire::{anthropic, embeddings::EmbeddingList, openai},
};

/// Texts to be embedded.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub(super) struct EmbeddingsRequest {
    /// A name of `GET /v1/models`.
    model: String,
    input: EmbeddingsInput,
    /// Length of each embedding.
    #[schema(minimum = 1)]
    dimensions: Option<u32>,
    encoding_format: Option<EncodingFormat>,
    /// Who the client's own user is.
    user: Option<String>,
}

/// One text, several, or tokens where the provider takes them.
#[derive(Serialize, ToSchema)]
#[schema(example = "Grüße aus Köln")]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub(super) enum EmbeddingsInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// How embeddings are written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub(super) enum EncodingFormat {
    /// Numbers.
    Float,
    /// Base64 of 32-bit floats, little-endian.
    Base64,
}

/// What can be asked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written elsewhere")]
pub(super) struct ModelList {
    /// Always `list`.
    object: String,
    data: Vec<Model>,
}

/// A model, or an alias of some.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written elsewhere")]
pub(super) struct Model {
    /// What requests call it.
    id: String,
    /// Always `model`.
    object: String,
    /// Always 0: the catalogue knows no dates.
    created: u64,
    /// The provider.
    owned_by: String,
}

/// A probe's answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is written elsewhere")]
pub(super) struct Health {
    /// `ok`, or `ready`.
    status: String,
}

/// The shapes that are told apart by their `type`, of which vendors have more than are described.
pub(super) const OPEN: [&str; 8] = [
    "ChatPart",
    "ChatTool",
    "ChatToolChoice",
    "ChatResponseFormat",
    "MessagesBlock",
    "MessagesImageSource",
    "MessagesEvent",
    "MessagesBlockDelta",
];

/// Adds all of them, with what they refer to.
pub(super) fn add(components: ComponentsBuilder) -> ComponentsBuilder {
    let mut schemas = Vec::new();
    collect::<openai::ChatRequest>(&mut schemas);
    collect::<openai::ChatCompletion>(&mut schemas);
    collect::<openai::Chunk<'static>>(&mut schemas);
    collect::<anthropic::MessagesRequest>(&mut schemas);
    collect::<anthropic::AnswerMessage>(&mut schemas);
    collect::<anthropic::Event>(&mut schemas);
    collect::<EmbeddingsRequest>(&mut schemas);
    collect::<EmbeddingList<'static>>(&mut schemas);
    collect::<ModelList>(&mut schemas);
    collect::<Health>(&mut schemas);
    collect::<CreateConversation>(&mut schemas);
    collect::<RenameConversation>(&mut schemas);
    collect::<ConversationView>(&mut schemas);
    collect::<ConversationList>(&mut schemas);
    collect::<TurnList>(&mut schemas);
    collect::<ConversationExport>(&mut schemas);
    for (name, schema) in &mut schemas {
        if OPEN.contains(&name.as_str()) {
            open(schema);
        }
    }
    components.schemas_from_iter(schemas)
}

/// Lets every other type pass.
fn open(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(kinds)) = schema else { return };
    let other = ObjectBuilder::new().schema_type(Type::Object).description(Some(
        "Any other type: it passes as it is where client and provider speak this format, and is not translated.",
    ));
    let any = AnyOfBuilder::new().description(kinds.description.take());
    let any = std::mem::take(&mut kinds.items).into_iter().fold(any, AnyOfBuilder::item);
    *schema = RefOr::T(any.item(other).into());
}

fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
