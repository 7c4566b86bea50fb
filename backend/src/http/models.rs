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
        let first = catalogue.resolve(&model.name).first().is_some_and(|target| target.provider == model.provider);
        let id = if first { model.name.clone() } else { format!("{}/{}", model.provider, model.name) };
        entry(id, &model.provider)
    });
    let aliases = catalogue.aliases().filter_map(|(alias, _)| {
        let offered = catalogue.resolve(alias).into_iter().find(|target| service.chat.offers(target))?;
        Some(entry(alias.to_owned(), &offered.provider))
    });
    Json(List { object: "list", data: models.chain(aliases).collect() })
}
