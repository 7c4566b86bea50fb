//! An origin that stands in for the backend behind an edge and shows what the edge sent.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};

use crate::{
    http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest, SharedRecord, whole},
    patience::patiently,
};

/// A running origin; ends when dropped. It answers 200 with `{"status":"ok"}` unless a path has other orders.
pub struct Origin {
    peer: HttpPeer,
    requests: SharedRecord<ReceivedRequest>,
    orders: Orders,
}

type Orders = Arc<Mutex<HashMap<String, OriginAnswer>>>;

/// What an origin does with requests for a path.
#[derive(Clone, Debug)]
pub enum OriginAnswer {
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    HangUp,
    /// Answers this.
    Whole {
        /// Status code.
        status: StatusCode,
        /// Head fields.
        headers: HeaderMap,
        /// Body.
        body: Bytes,
    },
}

impl Origin {
    /// Starts on a free port.
    pub async fn start() -> Result<Self> {
        let (requests, orders) = (SharedRecord::default(), Orders::default());
        let (record, known): (SharedRecord<ReceivedRequest>, _) = (Arc::clone(&requests), orders.clone());
        let peer = HttpPeer::start(move |request| {
            let order = known.lock().unwrap_or_else(PoisonError::into_inner).get(request.uri.path()).cloned();
            record.push(request);
            answer(order)
        })
        .await?;
        Ok(Self { peer, requests, orders })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.peer.address()
    }

    /// Scheme and authority, as `BACKEND_ORIGIN` has them.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What happens to requests for `path` (without query) from now on.
    pub fn order(&self, path: &str, answer: OriginAnswer) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answer);
    }

    /// All requests that came so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().clone()
    }

    /// The first request that `is_it`; waits for it.
    pub async fn wait_for_request(&self, is_it: impl Fn(&ReceivedRequest) -> bool) -> ReceivedRequest {
        let found = self.requests.wait(|requests| requests.iter().find(|request| is_it(request)).cloned());
        patiently(found, || format!("the request did not come; these did: {:#?}", self.requests())).await
    }
}

async fn answer(order: Option<OriginAnswer>) -> Result<Response<AnswerBody>, HangUp> {
    match order {
        Some(OriginAnswer::Hang) => std::future::pending().await,
        Some(OriginAnswer::HangUp) => Err(HangUp),
        Some(OriginAnswer::Whole { status, headers, body }) => {
            let mut answer = Response::new(whole(body));
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        }
        None => {
            let mut answer = Response::new(whole("{\"status\":\"ok\"}"));
            answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            Ok(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client;

    #[tokio::test]
    async fn it_records_and_answers_as_ordered() {
        let origin = Origin::start().await.unwrap();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"))]);
        let body = Bytes::from_static(b"gone");
        origin.order("/v1/models", OriginAnswer::Whole { status: StatusCode::GONE, headers, body });
        origin.order("/broken", OriginAnswer::HangUp);
        let client = http_client::new();
        let url = |path: &str| format!("{}{path}", origin.url());
        assert_eq!(client.get(url("/other")).send().await.unwrap().text().await.unwrap(), "{\"status\":\"ok\"}");
        let answer = client.get(url("/v1/models?a=b")).header("x-note", "n").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (410, "gone"));
        client.get(url("/broken")).send().await.unwrap_err();
        let request = origin.wait_for_request(|request| request.header("x-note") == Some("n")).await;
        assert_eq!(request.uri, "/v1/models?a=b");
        assert_eq!(origin.requests().len(), 3);
    }
}
