//! A request as the runtime hands it over.

use std::{
    cell::{Cell, OnceCell},
    future::Future,
    rc::Rc,
};

use wasm_bindgen::JsValue;
use web_sys::{AbortSignal, Request};
use worker::{Context, Env};

use super::{
    Surroundings,
    answer::Fetched,
    backend::{self, BackendError},
    body::{self, Body},
    runtime, variable,
};
use crate::{
    config::{ConfigFaults, EdgeConfig},
    facts::RequestFacts,
    forward::OutgoingHead,
    identify::Identity,
    refusal::Refusal,
};

thread_local! {
    /// Variables and secrets do not change while an isolate lives: a deployment starts new ones.
    static CONFIG: OnceCell<Rc<Result<EdgeConfig, ConfigFaults>>> = const { OnceCell::new() };
}

/// Keeps the runtime from dropping a request's work, until it is dropped itself.
pub(crate) struct Hold(js_sys::Function);

impl Drop for Hold {
    fn drop(&mut self) {
        // It only resolves a promise.
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

/// Lets work go on after an answer, as long as the runtime grants it.
pub(crate) struct Later(Rc<Context>);

impl Later {
    pub(crate) fn afterwards(&self, work: impl Future<Output = ()> + 'static) {
        self.0.wait_until(work);
    }
}

/// A request with its environment.
pub(crate) struct Incoming {
    request: Request,
    pub(super) env: Env,
    context: Rc<Context>,
    /// Known once the facts were asked for.
    is_https: Cell<bool>,
}

impl Incoming {
    pub(crate) fn new(request: Request, env: Env, context: Context) -> Self {
        Self { request, env, context: Rc::new(context), is_https: Cell::new(false) }
    }

    /// What decisions are made from.
    pub(crate) fn facts(&self) -> RequestFacts {
        let facts = RequestFacts::from_lines(&runtime::facts(&self.request));
        self.is_https.set(facts.scheme() == "https");
        facts
    }

    /// The configuration, or all that is wrong with it.
    pub(crate) fn config(&self) -> Rc<Result<EdgeConfig, ConfigFaults>> {
        CONFIG.with(|config| {
            let read = || Rc::new(EdgeConfig::read(|name| variable(&self.env, name)));
            Rc::clone(config.get_or_init(read))
        })
    }

    /// What admission asks of others on behalf of this request.
    pub(crate) fn surroundings<'a>(&'a self, config: &'a EdgeConfig, identity: &'a Identity) -> Surroundings<'a> {
        Surroundings { env: &self.env, identity, key_limit: &config.admit.key_limit }
    }

    /// Reads the body, up to `limit` bytes.
    pub(crate) async fn body(&self, announced: Option<u64>, limit: usize) -> Result<Body, Refusal> {
        body::read(&self.request, announced, limit).await
    }

    /// Sends the request on to a backend, which has so many milliseconds to begin its answer.
    pub(crate) async fn forward(
        &self,
        head: &OutgoingHead,
        body: Option<&Body>,
        patience_ms: f64,
        is_held: bool,
    ) -> Result<Fetched, BackendError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a configured bound, or less")]
        let patience_ms = patience_ms.max(1.0) as u32;
        backend::fetch(&self.request, head, body, patience_ms, is_held).await
    }

    /// Whether the client came by HTTPS.
    pub(super) fn is_https(&self) -> bool {
        self.is_https.get()
    }

    /// Aborted when the client leaves.
    pub(super) fn signal(&self) -> AbortSignal {
        self.request.signal()
    }

    /// Whether the client has left.
    pub(crate) fn is_left(&self) -> bool {
        self.signal().aborted()
    }

    /// Asks the runtime to go on with this request, even if its client leaves, while the hold lives.
    pub(crate) fn hold(&self) -> Hold {
        let context: &worker::worker_sys::Context = (*self.context).as_ref();
        Hold(runtime::hold(context.as_ref()))
    }

    /// Lets work go on after the answer.
    pub(crate) fn afterwards(&self, work: impl Future<Output = ()> + 'static) {
        self.context.wait_until(work);
    }

    /// The same for who has to say later that there is work.
    pub(crate) fn later(&self) -> Later {
        Later(Rc::clone(&self.context))
    }
}
