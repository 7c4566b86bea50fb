//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, Response, StatusCode, header::CONTENT_TYPE};
use prost::Message;
use serde_json::json;
use tokio::sync::watch;

use super::{Mood, Received};
use crate::http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest, whole};

pub(super) async fn start(received: Received, mood: watch::Receiver<Mood>) -> Result<HttpPeer> {
    HttpPeer::start(move |request| {
        let (received, mut mood) = (received.clone(), mood.clone());
        async move {
            let now = *mood.borrow_and_update();
            match now {
                Mood::Takes => Ok(answer(&request, &received)),
                Mood::RejectsOne => {
                    let mut partial = answer(&request, &received);
                    if partial.status() == StatusCode::OK {
                        // `partial_success { rejected_…: 1, error_message: "one" }`, the same for all signals.
                        *partial.body_mut() = whole(Bytes::from_static(b"\x0a\x07\x08\x01\x12\x03one"));
                    }
                    Ok(partial)
                }
                Mood::Babbles => {
                    let mut babble = Response::new(whole(Bytes::from_static(b"\xff\xff<html>no</html>")));
                    babble.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/html"));
                    Ok(babble)
                }
                Mood::Refuses(status) => {
                    let mut refusal = Response::new(whole(Bytes::new()));
                    *refusal.status_mut() = status;
                    Ok(refusal)
                }
                Mood::Hangs => {
                    // Until the mood changes; what was sent meanwhile is lost with its connection.
                    let _ = mood.changed().await;
                    Err(HangUp)
                }
            }
        }
    })
    .await
}

fn answer(request: &ReceivedRequest, received: &Received) -> Response<AnswerBody> {
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let (status, content_type, body) = match record(request, is_json, received) {
        Ok(()) if is_json => (StatusCode::OK, "application/json", Bytes::from_static(b"{}")),
        // An empty message: everything was accepted.
        Ok(()) => (StatusCode::OK, "application/x-protobuf", Bytes::new()),
        Err(error) => {
            let body = json!({"message": format!("{error:#}")}).to_string();
            (StatusCode::BAD_REQUEST, "application/json", body.into())
        }
    };
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    answer
}

fn record(request: &ReceivedRequest, is_json: bool, received: &Received) -> Result<()> {
    if request.method != Method::POST {
        bail!("OTLP is sent by POST");
    }
    let body = match request.header("content-encoding") {
        None | Some("identity") => request.body.to_vec(),
        Some("gzip") => {
            let mut body = Vec::new();
            GzDecoder::new(request.body.as_ref()).read_to_end(&mut body).context("the body is not gzip")?;
            body
        }
        Some(other) => bail!("content-encoding {other} is not spoken here"),
    };
    match request.uri.path() {
        "/v1/traces" => received.record_traces(decoded(&body, is_json)?),
        "/v1/metrics" => received.record_metrics(decoded(&body, is_json)?),
        "/v1/logs" => received.record_logs(decoded(&body, is_json)?),
        other => bail!("{other} is no path of OTLP"),
    }
    Ok(())
}

fn decoded<M: Message + Default + serde::de::DeserializeOwned>(body: &[u8], is_json: bool) -> Result<M> {
    if is_json {
        serde_json::from_slice(body).context("the body is not OTLP in JSON")
    } else {
        M::decode(body).context("the body is not OTLP in protobuf")
    }
}
