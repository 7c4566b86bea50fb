//! What each answer tells the edge of the providers: the signed field `x-goblin-health`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use goblin_shared::{
    edge_signature::SigningKey,
    headers::{GOBLIN_HEALTH, GOBLIN_HEALTH_SIGNATURE},
    provider_health::sign_health,
};
use http::HeaderValue;

use super::{
    edge_gate::{Admission, EdgeGate},
    layers::Service,
    request_context::RequestContext,
};
use crate::ports::Clock;

/// Makes the fields, at most once a second unless something goes down or comes back.
pub(super) struct HealthNews {
    service: Arc<Service>,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
    edition: Mutex<Option<Arc<Edition>>>,
}

/// The fields as they are for now.
struct Edition {
    unix_seconds: u64,
    changes: u64,
    health: HeaderValue,
    /// By the id of the key.
    signatures: Vec<(String, HeaderValue)>,
}

impl HealthNews {
    pub(super) fn new(service: Arc<Service>, gate: &EdgeGate) -> Self {
        Self { service, keys: gate.keys.clone(), clock: gate.clock.clone(), edition: Mutex::default() }
    }

    fn current(&self) -> Option<Arc<Edition>> {
        let (unix_seconds, changes) = (self.clock.unix_seconds(), self.service.chat.health_changes());
        // A panic in here leaves the edition of before, which is made anew.
        let mut edition = self.edition.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |made: &Arc<Edition>| made.unix_seconds == unix_seconds && made.changes == changes;
        if !edition.as_ref().is_some_and(is_current) {
            *edition = self.make(unix_seconds, changes).map(Arc::new);
        }
        edition.clone()
    }

    fn make(&self, unix_seconds: u64, changes: u64) -> Option<Edition> {
        let field = self.service.chat.health().to_field();
        let sign = |key: &SigningKey| {
            let signature = HeaderValue::try_from(sign_health(&field, key, unix_seconds)).ok()?;
            Some((key.id().to_owned(), signature))
        };
        let signatures = self.keys.iter().filter_map(sign).collect();
        Some(Edition { unix_seconds, changes, signatures, health: HeaderValue::try_from(field).ok()? })
    }
}

impl Edition {
    /// The signature for who holds this key.
    fn signature(&self, key_id: &str) -> Option<&HeaderValue> {
        self.signatures.iter().find(|(id, _)| id == key_id).map(|(_, signature)| signature)
    }
}

/// The layer that tells the edge, and nobody else.
pub(super) async fn tell(State(news): State<Arc<HealthNews>>, request: Request, next: Next) -> Response {
    let key_id = match request.extensions().get::<RequestContext>().map(|context| &context.admission) {
        Some(Admission::Edge(edge)) => Some(edge.key_id.clone()),
        Some(Admission::Anybody | Admission::Refused(_)) | None => None,
    };
    let mut response = next.run(request).await;
    if let Some(key_id) = key_id
        && let Some(edition) = news.current()
        && let Some(signature) = edition.signature(&key_id)
    {
        let headers = response.headers_mut();
        headers.insert(GOBLIN_HEALTH, edition.health.clone());
        headers.insert(GOBLIN_HEALTH_SIGNATURE, signature.clone());
    }
    response
}
