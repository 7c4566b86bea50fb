//! The functions of `runtime.js`.

use js_sys::{Function, Promise};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Request, Response};

use super::answer::Exchange;

#[wasm_bindgen(module = "/src/platform/runtime.js")]
extern "C" {
    /// Method, URL, what Cloudflare tells, and header fields, a line each.
    pub(super) fn facts(request: &Request) -> String;

    /// A variable or secret as text.
    pub(super) fn variable(env: &JsValue, name: &str) -> Option<String>;

    /// Resolves with an [`Exchange`], with undefined when patience ended, with null when the client has left.
    pub(super) fn forward(
        original: &Request,
        url: &str,
        remove: &str,
        set: &str,
        body: JsValue,
        patience_ms: u32,
        signal: Option<AbortSignal>,
        whole: u32,
    ) -> Promise;

    /// The answer of an exchange with another body and head.
    #[wasm_bindgen(catch)]
    pub(super) fn adopt(
        exchange: &Exchange,
        body: &JsValue,
        request_id: &str,
        server_timing: &str,
        more: &str,
        is_https: bool,
    ) -> Result<Response, JsValue>;

    /// An answer of the edge's own.
    #[wasm_bindgen(catch)]
    pub(super) fn own(status: u16, body: Option<&str>, lines: &str, is_https: bool) -> Result<Response, JsValue>;

    /// Resolves with the lines of an answer's head.
    pub(super) fn probe(url: &str, set: &str, patience_ms: u32) -> Promise;

    /// Resolves with a boolean; rejects without the binding.
    #[wasm_bindgen(js_name = addressAllows)]
    pub(super) fn address_allows(env: &JsValue, key: &str) -> Promise;

    /// Resolves with a text, or with undefined when patience ended; rejects without the binding.
    #[wasm_bindgen(js_name = takeOfKey)]
    pub(super) fn take_of_key(env: &JsValue, key_id: &str, patience_ms: u32) -> Promise;

    /// Resolves with an array of status, content type, cache control and bytes.
    pub(super) fn ask(url: &str, accept: &str, body: Option<String>, patience_ms: u32, limit: usize) -> Promise;

    /// Resolves with a boolean.
    pub(super) fn verifies(key: &[u8], message: &str, signature: &[u8]) -> Promise;

    /// Resolves with a text or null; with undefined when patience ended.
    pub(super) fn stored(env: &JsValue, binding: &str, key: &str, patience_ms: u32) -> Promise;

    /// Resolves with an array of status, retry-after and bytes.
    pub(super) fn post(url: &str, fields: &str, body: &[u8], is_gzip: bool, patience_ms: u32, limit: u32) -> Promise;

    /// Holds a request; calling what is returned lets it go.
    pub(super) fn hold(context: &JsValue) -> Function;

    /// Resolves after a while.
    pub(super) fn sleep(milliseconds: u32) -> Promise;
}
