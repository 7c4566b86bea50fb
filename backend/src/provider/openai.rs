//! Servers that speak OpenAI's wire format: OpenAI itself, and many others.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use goblin_shared::headers::TRACEPARENT;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Response, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::{request_body, sse, upstream_error};
use crate::ports::{Answer, AnswerStream, Call, Provider, ProviderError, Remote, StreamEvent};

/// Longest unstreamed answer in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest part of an error's body that is read.
const ERROR_BYTES: usize = 64 * 1024;
/// What ends a stream.
const DONE: &str = "[DONE]";

/// How one such server is called.
pub(crate) struct Settings {
    /// What stands before `/chat/completions`, without a `/` at its end.
    pub(crate) base_url: String,
    /// Sent as `authorization: Bearer`.
    pub(crate) api_key: Option<SecretString>,
    /// The catalogue's models that it offers, and what it calls them.
    pub(crate) models: BTreeMap<String, String>,
    /// Longest wait for a connection.
    pub(crate) connect_timeout: Duration,
}

/// A client of one such server.
pub(crate) struct OpenAi {
    client: reqwest::Client,
    url: reqwest::Url,
    remote: Option<Remote>,
    authorization: Option<HeaderValue>,
    models: BTreeMap<String, String>,
    connect_timeout: Duration,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableSettings {
    /// No HTTP client can be made, for example because the system has no certificates.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// The base URL is none.
    #[error("base_url is not a URL")]
    Url,
    /// The key has characters that cannot stand in a header.
    #[error("api_key cannot be sent in a header")]
    Key,
}

impl OpenAi {
    /// Makes the client. No connection is opened yet.
    pub(crate) fn new(settings: Settings) -> Result<Self, UnusableSettings> {
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
        let url = format!("{}/chat/completions", settings.base_url);
        let url: reqwest::Url = url.parse().map_err(|_| UnusableSettings::Url)?;
        let remote = url.host_str().zip(url.port_or_known_default());
        let remote = remote.map(|(host, port)| Remote { host: host.to_owned(), port });
        let authorization = settings.api_key.map(|key| {
            let value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let authorization = authorization.transpose().map_err(|_| UnusableSettings::Key)?;
        Ok(Self {
            client,
            url,
            remote,
            authorization,
            models: settings.models,
            connect_timeout: settings.connect_timeout,
        })
    }

    /// The request's head is made here: nothing of the client's goes on but its body.
    fn request(&self, call: &Call, stream: bool) -> Result<reqwest::RequestBuilder, ProviderError> {
        let model = self.models.get(&call.model).unwrap_or(&call.model);
        let body = request_body::for_upstream(&call.body, model, stream)
            .map_err(|_| ProviderError::Garbage("the accepted request cannot be read again"))?;
        let accept = if stream { "text/event-stream" } else { "application/json" };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let traceparent = call.traceparent.and_then(|parent| HeaderValue::try_from(parent.to_string()).ok());
        if let Some(traceparent) = traceparent {
            headers.insert(TRACEPARENT, traceparent);
        }
        Ok(self.client.post(self.url.clone()).headers(headers).body(body))
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    fn offers(&self, model: &str) -> bool {
        self.models.contains_key(model)
    }

    async fn complete(&self, call: Call) -> Result<Answer, ProviderError> {
        let response = send(self.request(&call, false)?, self.connect_timeout).await?;
        let status = response.status().as_u16();
        let body = read_bounded(response, ANSWER_BYTES).await?;
        let body = body.ok_or(ProviderError::Garbage("the answer is too long"))?;
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if !is_object || serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(ProviderError::Garbage("the answer is not a JSON object"));
        }
        if let Some(detail) = upstream_error::reported(&body) {
            return Err(ProviderError::Reported(detail));
        }
        Ok(Answer { body, status: Some(status) })
    }

    fn stream(&self, call: Call) -> AnswerStream {
        let request = self.request(&call, true);
        let connect_timeout = self.connect_timeout;
        let events = async_stream::try_stream! {
            let mut response = send(request?, connect_timeout).await?;
            yield StreamEvent::Opened(Some(response.status().as_u16()));
            let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            if content_type.is_some_and(|content_type| content_type.starts_with("application/json")) {
                Err(ProviderError::Garbage("the answer is not streamed"))?;
            }
            let mut parser = sse::Parser::default();
            let mut events = Vec::new();
            let mut ended = false;
            while !ended {
                match response.chunk().await.map_err(broken)? {
                    Some(bytes) => parser
                        .push(&bytes, &mut events)
                        .map_err(|_| ProviderError::Garbage("an event of the stream is too long"))?,
                    None => {
                        ended = true;
                        events.extend(std::mem::take(&mut parser).finish());
                    }
                }
                for data in events.drain(..) {
                    match data.trim() {
                        "" => {}
                        DONE => {
                            release(response);
                            yield StreamEvent::Done;
                            return;
                        }
                        _ => {
                            if let Some(detail) = upstream_error::reported(data.as_bytes()) {
                                Err(ProviderError::Reported(detail))?;
                            }
                            yield StreamEvent::Chunk(data);
                        }
                    }
                }
            }
        };
        events.boxed()
    }
}

/// Sends a request and waits for the head of a success.
async fn send(request: reqwest::RequestBuilder, connect_timeout: Duration) -> Result<Response, ProviderError> {
    let response = request.send().await.map_err(|error| {
        if error.is_timeout() {
            // No other time-out is given to the client; the caller watches over the rest.
            ProviderError::TimedOut { what: "a connection", limit: connect_timeout }
        } else if error.is_connect() {
            ProviderError::Unreachable(Box::new(error.without_url()))
        } else {
            broken(error)
        }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    // The status is what counts: a body that cannot be read says less, not something else.
    let body = read_bounded(response, ERROR_BYTES).await.ok().flatten().unwrap_or_default();
    Err(upstream_error::classify(status.as_u16(), &headers, &body))
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

/// Lets the connection be used again: for that, the body must be read to its end, which follows at once.
fn release(mut response: Response) {
    const PATIENCE: Duration = Duration::from_secs(1);
    // Mostly the end is here already, and needs no task.
    if matches!(response.chunk().now_or_never(), Some(Ok(None) | Err(_))) {
        return;
    }
    tokio::spawn(tokio::time::timeout(PATIENCE, async move { while let Ok(Some(_)) = response.chunk().await {} }));
}

#[cfg(test)]
mod tests;
