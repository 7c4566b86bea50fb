//! A request's body: read once, bounded, kept as the JavaScript value that goes on to the backend.

use goblin_shared::error_body::{ClientError, ErrorCode};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Request};

use crate::{preflight::body_too_large, refusal::Refusal};

/// A body that was read whole.
pub(crate) struct Body {
    value: JsValue,
    bytes: Vec<u8>,
}

impl Body {
    /// A copy for routing to look into.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What goes on.
    pub(super) fn value(&self) -> &JsValue {
        &self.value
    }
}

/// Reads a body. The length that its head announces is enforced by HTTP, so only a body without one is counted here.
pub(crate) async fn read(request: &Request, announced: Option<u64>, limit: usize) -> Result<Body, Refusal> {
    match announced {
        Some(_) => whole(request).await.map_err(|error| unreadable(&error)),
        None => counted(request, limit).await,
    }
}

async fn whole(request: &Request) -> Result<Body, JsValue> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    Ok(Body { value: buffer, bytes })
}

async fn counted(request: &Request, limit: usize) -> Result<Body, Refusal> {
    let mut bytes = Vec::new();
    if let Some(stream) = request.body() {
        let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
        loop {
            let chunk = JsFuture::from(reader.read()).await.map_err(|error| unreadable(&error))?;
            let field = |name: &str| Reflect::get(&chunk, &name.into()).map_err(|error| unreadable(&error));
            if field("done")?.is_truthy() {
                break;
            }
            let chunk = Uint8Array::new(&field("value")?);
            let begin = bytes.len();
            let length = begin + chunk.length() as usize;
            if length > limit {
                // What the client still sends is not awaited.
                drop(reader.cancel());
                return Err(body_too_large(limit));
            }
            bytes.resize(length, 0);
            chunk.copy_to(&mut bytes[begin..]);
        }
    }
    Ok(Body { value: Uint8Array::from(bytes.as_slice()).into(), bytes })
}

fn unreadable(error: &JsValue) -> Refusal {
    let message = "The body could not be read to its end; send it again.";
    let cause = Some(super::backend::text(error));
    Refusal { cause, ..ClientError::new(ErrorCode::InvalidJson, message).into() }
}
