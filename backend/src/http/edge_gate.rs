//! Whether a request came through the edge, and what the edge says of it.

use std::sync::Arc;

use axum::{
    extract::{Extension, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use goblin_shared::{
    edge_signature::{self, InvalidEdgeSignature, SignedHead, SigningKey},
    error_body::{ClientError, ErrorCode},
    headers::{
        GOBLIN_ATTEMPT, GOBLIN_CLIENT, GOBLIN_EDGE_SIGNATURE, GOBLIN_REFUSAL, GOBLIN_REQUEST_ID, GOBLIN_ROUTE,
        TRACEPARENT,
    },
    request_id::RequestId,
    route::Plan,
};
use http::{HeaderMap, HeaderValue, request::Parts};

use super::{
    errors::Failure,
    replay::{NotNew, ReplayStore},
    request_context::RequestContext,
};
use crate::ports::Clock;

/// Judges requests by the edge's signature.
pub(crate) struct EdgeGate {
    /// Strangers are refused.
    pub(crate) required: bool,
    /// The keys that are believed.
    pub(crate) keys: Vec<SigningKey>,
    /// How many seconds a signature may be off.
    pub(crate) skew_seconds: u64,
    /// What has been seen.
    pub(crate) replays: ReplayStore,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Whom a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody; requests are not remembered.
    Everybody,
    /// Everybody or the edge, as configured.
    AsConfigured,
    /// The edge, however configured.
    EdgeAlone,
}

/// What came of the judgement.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// The edge vouches for this.
    Edge(EdgeHead),
    /// Anybody's request, where anybody is served. What it says of itself counts for nothing.
    Anybody,
    /// Not to be served.
    Refused(Refusal),
}

/// What the edge says, once it is believed.
#[derive(Clone, Debug)]
pub(super) struct EdgeHead {
    /// Id of the request.
    pub(super) request_id: RequestId,
    /// The plan, on requests that need one.
    pub(super) plan: Option<Plan>,
    /// Id of the key that signed it.
    pub(super) key_id: String,
}

/// Why a request is refused. For the log: clients are told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No signature at all.
    #[error("no edge signature")]
    Missing,
    /// A signed field twice, or with bytes that are no text.
    #[error("a signed field is given twice or is not ASCII")]
    Ambiguous,
    /// The signature is not valid.
    #[error("edge signature: {0}")]
    Signature(InvalidEdgeSignature),
    /// It is, but what is signed cannot be used.
    #[error("a signed field has an unusable value")]
    Unusable,
    /// Seen before.
    #[error("replayed")]
    Replayed,
    /// No room to remember it.
    #[error("the replay store is full")]
    StoreFull,
}

impl EdgeGate {
    /// Judges a request for a path.
    pub(super) fn admit(&self, head: &Parts, audience: Audience) -> Admission {
        let required = match audience {
            Audience::Everybody => false,
            Audience::AsConfigured => self.required,
            Audience::EdgeAlone => true,
        };
        match self.read(head) {
            Ok((edge, attempt)) => {
                if required && let Err(refusal) = self.note(edge.request_id, attempt) {
                    return Admission::Refused(refusal);
                }
                Admission::Edge(edge)
            }
            Err(refusal) if required => Admission::Refused(refusal),
            Err(_) => Admission::Anybody,
        }
    }

    fn note(&self, request_id: RequestId, attempt: u32) -> Result<(), Refusal> {
        self.replays.note(request_id, attempt, self.clock.unix_seconds()).map_err(|not_new| match not_new {
            NotNew::Replayed => Refusal::Replayed,
            NotNew::Full => Refusal::StoreFull,
        })
    }

    fn read(&self, head: &Parts) -> Result<(EdgeHead, u32), Refusal> {
        let field = |name| only(&head.headers, name);
        let signature = field(GOBLIN_EDGE_SIGNATURE)?;
        if signature.is_empty() {
            return Err(Refusal::Missing);
        }
        let signed = SignedHead {
            method: head.method.as_str(),
            path_and_query: head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str),
            request_id: field(GOBLIN_REQUEST_ID)?,
            attempt: field(GOBLIN_ATTEMPT)?,
            route: field(GOBLIN_ROUTE)?,
            client: field(GOBLIN_CLIENT)?,
            traceparent: field(TRACEPARENT)?,
        };
        signed
            .verify(signature, &self.keys, self.clock.unix_seconds(), self.skew_seconds)
            .map_err(Refusal::Signature)?;
        let request_id = signed.request_id.parse().map_err(|_| Refusal::Unusable)?;
        let attempt: u32 = signed.attempt.parse().map_err(|_| Refusal::Unusable)?;
        let plan = match signed.route {
            "" => None,
            route => Some(Plan::parse(route).map_err(|_| Refusal::Unusable)?),
        };
        let key_id = edge_signature::key_id(signature).unwrap_or_default().to_owned();
        Ok((EdgeHead { request_id, plan, key_id }, attempt))
    }
}

/// The value of a field that may occur once; empty when it does not.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map_or(Ok(""), |value| value.to_str().map_err(|_| Refusal::Ambiguous))?;
    if values.next().is_some() { Err(Refusal::Ambiguous) } else { Ok(value) }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let error = match refusal {
            Refusal::StoreFull => {
                ClientError::new(ErrorCode::Overloaded, "Too much is in flight; try again shortly.").with_retry_after(1)
            }
            _ => ClientError::new(
                ErrorCode::EdgeSignatureInvalid,
                "The request did not come through the gateway's public address; send it there.",
            ),
        };
        Self::new(error).caused_by(refusal)
    }
}

/// The layer that turns refusals into answers. They tell the edge, which removes the field, that the fault is between
/// the two and none of the client's.
pub(super) async fn refuse_strangers(
    Extension(context): Extension<RequestContext>,
    request: Request,
    next: Next,
) -> Response {
    match context.admission {
        Admission::Refused(refusal) => {
            let failure = Failure::from(refusal);
            let code = failure.error.code;
            let mut response = failure.into_response();
            if code == ErrorCode::EdgeSignatureInvalid {
                response.headers_mut().insert(GOBLIN_REFUSAL, HeaderValue::from_static(code.as_str()));
            }
            response
        }
        Admission::Edge(_) | Admission::Anybody => next.run(request).await,
    }
}
