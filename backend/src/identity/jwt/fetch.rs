//! Fetches an issuer's keys, in bounded time and size.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, redirect};

use super::key_set::KeySet;

/// Longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for the whole.
const WITHIN: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const BYTES: usize = 256 * 1024;

/// No HTTP client can be made.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made")]
pub(crate) struct UnusableJwt(#[from] reqwest::Error);

/// Why an issuer's keys could not be had. Its text is for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FetchFailure {
    /// The server cannot be reached, or does not answer in time.
    #[error("the server of auth.jwt.jwks_url cannot be reached")]
    Unreachable(#[source] Arc<reqwest::Error>),
    /// It answers with another status than 200.
    #[error("the server of auth.jwt.jwks_url answers with status {0}")]
    Status(u16),
    /// Its answer is over the bound.
    #[error("the answer of auth.jwt.jwks_url is longer than {BYTES} bytes")]
    TooLong,
    /// Its answer is no set of keys.
    #[error("the answer of auth.jwt.jwks_url is no set of keys (RFC 7517)")]
    NoKeySet,
    /// It is one without a key that could be used.
    #[error("the answer of auth.jwt.jwks_url has no key for any signature that is known here")]
    NoKey,
    /// The task that fetched ended without a result.
    #[error("fetching the keys of auth.jwt.jwks_url was broken off")]
    BrokenOff,
}

/// A client of one address.
pub(super) struct Fetcher {
    client: Client,
    url: String,
}

impl Fetcher {
    pub(super) fn new(url: String) -> Result<Self, UnusableJwt> {
        let client = Client::builder()
            .user_agent(concat!("goblin-backend/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(WITHIN)
            // Whose keys count is said by the address alone.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .https_only(url.starts_with("https:"))
            .build()?;
        Ok(Self { client, url })
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, FetchFailure> {
        let unreachable = |error| FetchFailure::Unreachable(Arc::new(error));
        let mut response = self.client.get(&self.url).send().await.map_err(unreachable)?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchFailure::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BYTES {
                return Err(FetchFailure::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let keys = KeySet::parse(&body).ok_or(FetchFailure::NoKeySet)?;
        if keys.is_empty() { Err(FetchFailure::NoKey) } else { Ok(keys) }
    }
}
