//! The keys of a signing agent, where Web Bot Auth looks for them, with what can go wrong on order.
//!
//! <https://datatracker.ietf.org/doc/draft-meunier-http-message-signatures-directory/>: a JSON Web Key Set (RFC 7517)
//! at a well-known path of the agent's origin, with a media type of its own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use crate::{
    http_peer::{AnswerBody, HangUp, HttpPeer, SharedRecord, whole},
    patience::patiently,
};

/// Path of a directory at its origin.
const PATH: &str = "/.well-known/http-message-signatures-directory";
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/http-message-signatures-directory+json");

/// A running directory; ends when dropped.
pub struct KeyDirectory {
    peer: HttpPeer,
    order: Arc<Mutex<DirectoryOrder>>,
    /// The path of each request.
    fetches: SharedRecord<String>,
}

/// What a directory does when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryOrder {
    /// Serves its keys.
    #[default]
    Serve,
    /// Answers 500.
    Fail,
    /// Closes the connection without an answer.
    HangUp,
    /// Never answers.
    Hang,
}

impl KeyDirectory {
    /// Starts on a free port with Ed25519 keys, each as its `x` of RFC 8037: the public key in base64url.
    pub async fn start(public_keys: &[&str]) -> Result<Self> {
        let keys: Vec<Value> = public_keys.iter().map(|x| json!({"kty": "OKP", "crv": "Ed25519", "x": x})).collect();
        let keys = json!({"keys": keys}).to_string();
        let (order, fetches) = (Arc::<Mutex<DirectoryOrder>>::default(), SharedRecord::default());
        let (ordered, record): (_, SharedRecord<String>) = (Arc::clone(&order), Arc::clone(&fetches));
        let peer = HttpPeer::start(move |request| {
            let order = *ordered.lock().unwrap_or_else(PoisonError::into_inner);
            let is_there = request.method == Method::GET && request.uri.path() == PATH;
            record.push(request.uri.path().to_owned());
            let keys = is_there.then(|| keys.clone());
            async move { answer(order, keys).await }
        })
        .await?;
        Ok(Self { peer, order, fetches })
    }

    /// The agent's origin, as `WEB_BOT_AUTH_AGENTS` and `Signature-Agent` have it.
    #[must_use]
    pub fn origin(&self) -> String {
        let address: SocketAddr = self.peer.address();
        format!("http://{address}")
    }

    /// What happens from now on.
    pub fn order(&self, order: DirectoryOrder) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = order;
    }

    /// How often anything was asked of it.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.fetches.lock().len()
    }

    /// Waits until it was asked for something.
    pub async fn wait_for_fetch(&self) {
        let asked = self.fetches.wait(|fetches| (!fetches.is_empty()).then_some(()));
        patiently(asked, || "nobody asked for the keys".to_owned()).await;
    }
}

async fn answer(order: DirectoryOrder, keys: Option<String>) -> Result<Response<AnswerBody>, HangUp> {
    let (status, body) = match (order, keys) {
        (DirectoryOrder::Hang, _) => std::future::pending().await,
        (DirectoryOrder::HangUp, _) => return Err(HangUp),
        (DirectoryOrder::Fail, _) => (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
        (DirectoryOrder::Serve, None) => (StatusCode::NOT_FOUND, "{}".to_owned()),
        (DirectoryOrder::Serve, Some(keys)) => (StatusCode::OK, keys),
    };
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client;

    #[tokio::test]
    async fn keys_are_served_counted_and_withheld_on_order() {
        let directory = KeyDirectory::start(&["JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"]).await.unwrap();
        let client = http_client::new();
        let fetch = || client.get(format!("{}{PATH}", directory.origin())).send();
        let answer = fetch().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/http-message-signatures-directory+json");
        assert_eq!(answer.headers()["cache-control"], "max-age=86400");
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"});
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"keys": [key]}));
        assert_eq!(client.get(directory.origin()).send().await.unwrap().status(), 404);
        directory.order(DirectoryOrder::Fail);
        assert_eq!(fetch().await.unwrap().status(), 500);
        directory.order(DirectoryOrder::HangUp);
        fetch().await.unwrap_err();
        assert_eq!(directory.fetches(), 4);
        directory.order(DirectoryOrder::Hang);
        tokio::select! {
            answer = fetch() => panic!("it answered: {answer:?}"),
            () = async { directory.fetches.wait(|fetches| (fetches.len() == 5).then_some(())).await } => {}
        }
    }
}
