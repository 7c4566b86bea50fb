//! `/v1/conversations`: what callers have kept here, each his own.

mod body;
mod cursor;
mod export;
mod failure;
mod markdown;
mod query;
mod view;

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Extension, Path, Request, State},
    response::{IntoResponse, Response},
};
use goblin_shared::conversation::ConversationPath;
use http::{StatusCode, Uri, header::LOCATION};

pub(super) use self::{
    body::{CreateConversation, RenameConversation},
    view::{ConversationExport, ConversationList, ConversationView, TurnList},
};
use self::{
    cursor::{ListCursor, TurnCursor},
    export::Format,
    query::Page,
};
use super::{errors::Failure, layers::Service};
use crate::{
    chat::conversation::{ConversationFailure, ConversationService},
    ports::Principal,
};

/// A caller, as the layer before has named him.
type Caller = Extension<Principal>;

fn kept(service: &Service) -> Result<&ConversationService, ConversationFailure> {
    service.conversations.as_deref().ok_or(ConversationFailure::NotKept)
}

/// `POST /v1/conversations`
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    request: Request,
) -> Result<Response, Failure> {
    let conversations = kept(&service)?;
    let CreateConversation { title, instructions } = body::read_create(request, service.body_limit).await?;
    let created = conversations.create(&principal, title, instructions).await?;
    service.watch.metrics.conversation_started();
    let location = format!("{}/{}", ConversationPath::All.template(), created.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(ConversationView::from(created))).into_response())
}

/// `GET /v1/conversations`
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    uri: Uri,
) -> Result<Json<ConversationList>, Failure> {
    let conversations = kept(&service)?;
    let Page { limit, after } = Page::<ListCursor>::of(&uri)?;
    let after = after.map(|ListCursor(after)| after);
    // One more tells whether there is more.
    let mut found = conversations.list(&principal, after.as_ref(), limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|last| ListCursor::after(last).to_string());
    Ok(Json(ConversationList::of(found, next)))
}

/// `GET /v1/conversations/{id}`
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    Path(id): Path<String>,
) -> Result<Json<ConversationView>, Failure> {
    Ok(Json(kept(&service)?.get(&principal, &id).await?.into()))
}

/// `GET /v1/conversations/{id}/turns`
pub(super) async fn turns(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<TurnList>, Failure> {
    let conversations = kept(&service)?;
    let Page { limit, after } = Page::<TurnCursor>::of(&uri)?;
    let after = after.map_or(0, |TurnCursor(number)| number);
    let mut found = conversations.turns(&principal, &id, after, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|last| TurnCursor(last.number).to_string());
    Ok(Json(TurnList::of(found, next)?))
}

/// `PATCH /v1/conversations/{id}`
pub(super) async fn rename(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ConversationView>, Failure> {
    let conversations = kept(&service)?;
    let RenameConversation { title } = body::read_rename(request, service.body_limit).await?;
    Ok(Json(conversations.rename(&principal, &id, title.as_deref()).await?.into()))
}

/// `DELETE /v1/conversations/{id}`
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    kept(&service)?.delete(&principal, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/conversations/{id}/export`
pub(super) async fn export(
    State(service): State<Arc<Service>>,
    Extension(principal): Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Failure> {
    let format = Format::of(&uri)?;
    let conversations = service.conversations.clone().ok_or(ConversationFailure::NotKept)?;
    let conversation = conversations.get(&principal, &id).await?;
    let headers = format.headers(&conversation.id);
    let body = Body::from_stream(export::document(format, conversations, principal, conversation));
    Ok((headers, body).into_response())
}
