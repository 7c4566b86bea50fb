//! The functions of `runtime.js`.

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{AbortSignal, Request, Response};

#[wasm_bindgen(module = "/src/platform/runtime.js")]
extern "C" {
    /// Method, URL, country, colo and header fields, a line each.
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

    /// A copy of an answer with two header fields set.
    #[wasm_bindgen(catch)]
    pub(super) fn adopt(fetched: &Response, request_id: &str, server_timing: &str) -> Result<Response, JsValue>;
}
