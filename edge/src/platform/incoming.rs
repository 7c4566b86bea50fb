//! A request as the runtime hands it over.

use std::{cell::OnceCell, future::Future, rc::Rc};

use futures_channel::oneshot;
use web_sys::{AbortSignal, Request};
use worker::{Context, Env};

use super::{
    Answer, Surroundings,
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
pub(crate) struct Hold(#[expect(dead_code, reason = "dropping it is its use")] oneshot::Sender<()>);

/// A request with its environment.
pub(crate) struct Incoming {
    request: Request,
    env: Env,
    context: Context,
}

impl Incoming {
    pub(crate) fn new(request: Request, env: Env, context: Context) -> Self {
        Self { request, env, context }
    }

    /// What decisions are made from.
    pub(crate) fn facts(&self) -> RequestFacts {
        RequestFacts::from_lines(&runtime::facts(&self.request))
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

    /// Sends the request on to the backend.
    pub(crate) async fn forward(
        &self,
        head: &OutgoingHead,
        body: Option<Body>,
        config: &EdgeConfig,
    ) -> Result<Answer, BackendError> {
        backend::fetch(&self.request, head, body, config).await.map(Answer::fetched)
    }

    /// Aborted when the client leaves.
    pub(super) fn signal(&self) -> AbortSignal {
        self.request.signal()
    }

    /// Asks the runtime to go on with this request, even if its client leaves, while the hold lives.
    pub(crate) fn hold(&self) -> Hold {
        let (sender, receiver) = oneshot::channel();
        self.context.wait_until(async {
            // Dropping the sender is the message.
            let _ = receiver.await;
        });
        Hold(sender)
    }

    /// Lets work go on after the answer.
    pub(crate) fn afterwards(&self, work: impl Future<Output = ()> + 'static) {
        self.context.wait_until(work);
    }
}
