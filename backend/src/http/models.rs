//! `GET /v1/models`: what can be asked for here, in OpenAI's shape.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::layers::Service;

#[derive(Serialize)]
pub(super) struct List {
    object: &'static str,
    data: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    object: &'static str,
    /// OpenAI's SDKs want it; the catalogue knows no dates.
    created: u64,
    owned_by: String,
}

/// Lists models and aliases under the names that requests can use.
pub(super) async fn list(State(service): State<Arc<Service>>) -> Json<List> {
    let catalogue = service.chat.catalogue();
    let entry = |id: String, owner: &str| Entry { id, object: "model", created: 0, owned_by: owner.to_owned() };
    let models = service.chat.models().map(|model| {
        // A name that several providers list means the first of them; the others are asked for by both names.
        let first = catalogue.resolve(&model.name).is_some_and(|target| target.provider == model.provider);
        let id = if first { model.name.clone() } else { format!("{}/{}", model.provider, model.name) };
        entry(id, &model.provider)
    });
    let aliases = catalogue.aliases().filter(|(_, target)| service.chat.offers(target));
    let aliases = aliases.map(|(alias, target)| entry(alias.to_owned(), &target.provider));
    Json(List { object: "list", data: models.chain(aliases).collect() })
}
