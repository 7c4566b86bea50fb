//! The functions of `runtime.js`.

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Request, Response};

#[wasm_bindgen(module = "/src/platform/runtime.js")]
extern "C" {
    /// Method, URL, what Cloudflare tells, and header fields, a line each.
    pub(super) fn facts(request: &Request) -> String;

    /// Resolves with a [`Response`], with undefined when patience ended, with null when the client has left.
    pub(super) fn forward(
        original: &Request,
        url: &str,
        remove: &str,
        set: &str,
        body: JsValue,
        patience_ms: i32,
        signal: Option<AbortSignal>,
    ) -> Promise;

    /// A copy of an answer with two header fields set and more added.
    #[wasm_bindgen(catch)]
    pub(super) fn adopt(
        fetched: &Response,
        request_id: &str,
        server_timing: &str,
        more: &str,
    ) -> Result<Response, JsValue>;

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

    /// Resolves after a while.
    pub(super) fn sleep(milliseconds: u32) -> Promise;
}
