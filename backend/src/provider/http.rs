//! What calls of all wire families have in common: HTTP.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use goblin_shared::{
    headers::{ANTHROPIC_BETA, BAGGAGE, TRACESTATE},
    trace_context::Formats,
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Response, redirect};

use super::{
    endpoint::{Endpoint, Operation, UnusableUrl},
    keys::{Key, KeyIndex, Keys, Reach},
    obstacle, upstream_error,
};
use crate::{
    ports::{Call, Clock, Obstacle, Onward, ProviderError, Remote},
    wire::{family::Family, sse},
};

/// Longest unstreamed answer in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest part of an error's body that is read.
const ERROR_BYTES: usize = 64 * 1024;
/// Longest wait for an error's body: the status is known by then, and is what counts.
const ERROR_WITHIN: Duration = Duration::from_secs(2);
/// How long a key is not used that the provider refused.
const REFUSED_FOR: Duration = Duration::from_mins(1);
/// How long a key is not used of which too much was asked, at least, and where the provider does not say it.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);
/// The version of its API that this speaks (<https://docs.anthropic.com/en/api/versioning>).
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// How one server is called.
pub(crate) struct Settings {
    /// What it speaks.
    pub(crate) family: Family,
    /// What stands before the paths of its family, without a `/` at its end. `{model}` stands for the model's name.
    pub(crate) base_url: String,
    /// More for the URL, without `?`.
    pub(crate) query: Option<String>,
    /// Its keys; none where it needs none.
    pub(crate) keys: Vec<Key>,
    /// Where they stand.
    pub(crate) auth: Auth,
    /// Fields that every call has. They replace those of ours that have the same name.
    pub(crate) headers: HeaderMap,
    /// Longest wait for a connection.
    pub(crate) connect_timeout: Duration,
    /// The forms in which it is told of the trace.
    pub(crate) formats: Formats,
    /// Whether it is told too what callers hand along with the trace.
    pub(crate) is_own: bool,
}

/// Where a key stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `authorization: Bearer`.
    Bearer,
    /// A field of its own.
    Field(HeaderName),
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableSettings {
    /// No HTTP client can be made, for example because the system has no certificates.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// The base URL is none.
    #[error(transparent)]
    Url(#[from] UnusableUrl),
    /// A key has characters that cannot stand in a header.
    #[error("a key cannot be sent in a header")]
    Key,
}

/// A client of one server.
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Endpoint,
    remote: Option<Remote>,
    keys: Keys,
    auth: Auth,
    /// What the head of every call has.
    headers: HeaderMap,
    formats: Formats,
    is_own: bool,
    clock: Arc<dyn Clock>,
}

impl Http {
    /// Makes the client. No connection is opened yet.
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, UnusableSettings> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("goblin-backend/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // A redirect would carry prompts and the key to where nobody configured them to go.
            .redirect(redirect::Policy::none())
            // Where requests go is said by base_url alone, not by variables made for other programs.
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(UnusableSettings::Client)?;
        let endpoint = Endpoint::new(settings.family, settings.base_url, settings.query)?;
        let keys = Keys::new(settings.keys);
        if !keys.can_be_sent() {
            return Err(UnusableSettings::Key);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if settings.family == Family::Anthropic {
            let (name, value) = ANTHROPIC_VERSION;
            headers.insert(name, value);
        }
        headers.extend(settings.headers);
        Ok(Self {
            client,
            remote: endpoint.remote(),
            endpoint,
            keys,
            auth: settings.auth,
            headers,
            formats: settings.formats,
            is_own: settings.is_own,
            clock,
        })
    }

    /// Where the server is.
    pub(super) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Asks for a whole answer: its status and body.
    pub(super) async fn whole(&self, operation: Operation, call: &Call) -> Result<(u16, Bytes), ProviderError> {
        let response = self.send(operation, call).await?;
        let status = response.status().as_u16();
        if !content_type_fits(&response, is_json) {
            return Err(ProviderError::Garbage("the answer is not JSON by its content type"));
        }
        let body = read_bounded(response, ANSWER_BYTES).await?;
        let body = body.ok_or(ProviderError::Garbage("the answer is too long"))?;
        if body.is_empty() { Err(ProviderError::Garbage("the answer is empty")) } else { Ok((status, body)) }
    }

    /// Asks for a stream, and waits for its head.
    pub(super) async fn events(&self, operation: Operation, call: &Call) -> Result<HttpEvents, ProviderError> {
        let response = self.send(operation, call).await?;
        Ok(HttpEvents { response, parser: Some(sse::Parser::default()), waiting: VecDeque::new() })
    }

    /// Sends a request and waits for the head of a success. Nothing of the client's goes on but its body and the
    /// fields that were chosen for it.
    async fn send(&self, operation: Operation, call: &Call) -> Result<Response, ProviderError> {
        let prepared = &call.prepared;
        let url = self.endpoint.url(operation, &prepared.upstream_model);
        let url = url.map_err(|_| ProviderError::Garbage("the provider's URL cannot be made"))?;
        let key = self.keys.next(&prepared.upstream_model);
        let request = self.client.post(url).headers(self.head(operation, call, key)).body(prepared.body.clone());
        let response = request.send().await.map_err(Self::unsent)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // A body that cannot be read says less, not something else.
        let body = tokio::time::timeout(ERROR_WITHIN, read_bounded(response, ERROR_BYTES)).await;
        let body = body.ok().and_then(Result::ok).flatten().unwrap_or_default();
        let error = upstream_error::classify(status.as_u16(), &headers, &body, self.clock.unix_millis());
        Err(self.with_other_key(error, key, &prepared.upstream_model))
    }

    fn head(&self, operation: Operation, call: &Call, key: Option<KeyIndex>) -> HeaderMap {
        let mut headers = self.headers.clone();
        let accept = if operation == Operation::ChatStream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let (name, prefix) = match &self.auth {
            Auth::Bearer => (&AUTHORIZATION, "Bearer "),
            Auth::Field(name) => (name, ""),
        };
        if let Some(value) = key.and_then(|key| self.keys.header_value(key, prefix)) {
            headers.insert(name, value);
        }
        let trace = call.traceparent.map(|parent| self.formats.inject(&parent)).unwrap_or_default();
        let onward = call.onward.as_deref().filter(|_| self.is_own);
        let onward = onward.map(|Onward { tracestate, baggage }| [(TRACESTATE, tracestate), (BAGGAGE, baggage)]);
        let onward = onward.into_iter().flatten().filter(|(_, value)| !value.is_empty());
        for (name, value) in trace.into_iter().chain(onward.map(|(name, value)| (name, value.clone()))) {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        for (name, value) in &call.prepared.headers {
            let Ok(value) = HeaderValue::try_from(value) else { continue };
            if *name == ANTHROPIC_BETA {
                // Beside what is configured under the same name: both are lists.
                headers.append(*name, value);
            } else {
                headers.insert(*name, value);
            }
        }
        headers
    }

    /// Sets a key aside that was not taken, and says whether there is another.
    ///
    /// What it lacks may be a right, or room, with this one model (403, 429). One that is none (401, and Google's 400)
    /// is so everywhere.
    fn with_other_key(&self, mut error: ProviderError, key: Option<KeyIndex>, model: &str) -> ProviderError {
        let Some(key) = key else { return error };
        match &mut error {
            ProviderError::Unauthorized { status, other_key, .. } => {
                let reach = if *status == 403 { Reach::ThisModel } else { Reach::AllModels };
                *other_key = self.keys.set_aside(key, model, reach, REFUSED_FOR);
            }
            ProviderError::Overloaded { other_key, retry_after, .. } => {
                let told = retry_after.map_or(OVERLOADED_FOR, |seconds| Duration::from_secs(seconds.into()));
                *other_key = self.keys.set_aside(key, model, Reach::ThisModel, told.max(OVERLOADED_FOR));
            }
            // An account that has to be paid: another key may be of another.
            ProviderError::Status { status: 400 | 402 | 429, .. } => {
                self.keys.set_aside(key, model, Reach::AllModels, REFUSED_FOR);
            }
            _ => {}
        }
        error
    }

    fn unsent(error: reqwest::Error) -> ProviderError {
        if error.is_connect() {
            let why = if error.is_timeout() { Obstacle::TimedOut } else { obstacle::find(&error) };
            ProviderError::Unreachable { why, cause: Box::new(error.without_url()) }
        } else {
            broken(error)
        }
    }
}

/// The events of a stream.
pub(super) struct HttpEvents {
    response: Response,
    /// Until the end of the body.
    parser: Option<sse::Parser>,
    waiting: VecDeque<sse::Event>,
}

impl HttpEvents {
    /// The status of the answer.
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Whether these are events at all.
    pub(super) fn check(&self) -> Result<(), ProviderError> {
        if content_type_fits(&self.response, |essence| essence == "text/event-stream") {
            Ok(())
        } else {
            Err(ProviderError::Garbage("the answer is not streamed"))
        }
    }

    /// The next event; `None` when the body has ended in good order.
    pub(super) async fn next(&mut self) -> Result<Option<sse::Event>, ProviderError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let Some(parser) = &mut self.parser else { return Ok(None) };
            if let Some(bytes) = self.response.chunk().await.map_err(broken)? {
                let read = parser.push(&bytes, &mut self.waiting);
                read.map_err(|_| ProviderError::Garbage("an event of the stream is too long"))?;
            } else {
                self.waiting.extend(self.parser.take().and_then(sse::Parser::finish));
            }
        }
    }

    /// Lets the connection be used again: for that, the body must be read to its end, which follows at once.
    pub(super) fn release(mut self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        // Mostly the end is here already, and needs no task.
        if self.parser.is_none() || matches!(self.response.chunk().now_or_never(), Some(Ok(None) | Err(_))) {
            return;
        }
        let rest = async move { while let Ok(Some(_)) = self.response.chunk().await {} };
        tokio::spawn(tokio::time::timeout(PATIENCE, rest));
    }
}

/// Whether the content type is one that was asked for. Where none is told, the body has to show it.
fn content_type_fits(response: &Response, fits: impl FnOnce(&str) -> bool) -> bool {
    let Some(value) = response.headers().get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    fits(&essence.trim().to_ascii_lowercase())
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a body, or gives `None` when it is longer.
async fn read_bounded(mut response: Response, limit: usize) -> Result<Option<Bytes>, ProviderError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body.freeze()))
}

fn broken(error: reqwest::Error) -> ProviderError {
    ProviderError::Broken(Box::new(error.without_url()))
}
