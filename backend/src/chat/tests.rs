//! Plans carried out against providers that do what the test says, under a clock that the test moves.

mod opening;
mod order;
mod pressure;
mod random;
mod recorded;
mod settlements;
mod streams;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use goblin_shared::{
    api::Api,
    catalogue::{BUILT_IN, Catalogue, Target},
    request_id::RequestId,
};
use proptest::prelude::*;
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use super::{
    Account, BreakerSettings, ChatRequest, ChatService, ChatSettings, LaneSettings, PlanFailure, Retries, Step,
    Streaming, Timeouts, Upstream, Usable,
};
use crate::{
    monitoring::metrics::read_back::unread,
    ports::{
        Answer, AnswerFacts, Call, ClientRequest, Inexpressible, Obstacle, Prepared, Provider, ProviderError, Random,
        Remote, StreamEvent, UpstreamDetail,
    },
    provider::scripted::{self, Scripted, text},
};

/// Half of every pause.
struct Half;

impl Random for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

const SETTINGS: ChatSettings = ChatSettings {
    timeouts: Timeouts {
        first_content: Duration::from_mins(1),
        attempt: Duration::from_secs(30),
        between_chunks: Duration::from_secs(20),
        total: Duration::from_mins(10),
    },
    retries: Retries {
        attempts: 2,
        base_delay: Duration::from_millis(100),
        max_delay: Duration::from_secs(2),
        retry_after_limit: Duration::from_secs(5),
    },
    breakers: Some(BreakerSettings {
        window: Duration::from_secs(30),
        min_calls: 3,
        error_ratio: 0.5,
        open_for: Duration::from_secs(10),
        open_for_limit: Duration::from_mins(2),
        probes: 1,
    }),
};

const LANE: LaneSettings = LaneSettings { max_concurrency: 4, max_queue: 1, queue_timeout: Duration::from_secs(1) };

/// A service with providers `a`, `b`, …, and a plan over the model `m` of each.
struct Plan {
    service: Arc<ChatService>,
    entries: Vec<Usable>,
}

impl Plan {
    fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self::with(SETTINGS, LANE, providers)
    }

    fn with(settings: ChatSettings, lane: LaneSettings, providers: Vec<Arc<dyn Provider>>) -> Self {
        let entries = providers.into_iter().enumerate().map(|(index, provider)| Usable {
            target: target(index),
            upstream: Arc::new(Upstream::new(provider, lane)),
        });
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let service = ChatService::new(catalogue, BTreeMap::new(), settings, Arc::new(Half), unread());
        Self { service: Arc::new(service), entries: entries.collect() }
    }

    async fn complete(&self) -> Result<String, PlanFailure> {
        let answered =
            self.service.complete(&self.entries, &request(false), Account::unkept(Arc::new(unread()))).await?;
        Ok(answered.target.provider)
    }

    fn stream(&self) -> Streaming {
        self.service.stream(self.entries.clone(), request(true), Account::unkept(Arc::new(unread())))
    }
}

fn target(index: usize) -> Target {
    let provider = char::from(b'a' + u8::try_from(index).unwrap()).to_string();
    Target { provider, model: "m".to_owned() }
}

fn request(stream: bool) -> ChatRequest {
    let client = ClientRequest {
        api: Api::ChatCompletions,
        body: Bytes::from_static(b"{}"),
        stream,
        include_usage: false,
        anthropic_version: None,
        anthropic_beta: None,
        request_id: RequestId::new(0, &[0; 10]),
    };
    ChatRequest { client, random_trace_id: true, onward: None }
}

#[expect(clippy::unnecessary_wraps, reason = "as scripts take it")]
fn answer() -> Result<Answer, ProviderError> {
    Ok(Answer { body: Bytes::from_static(b"{}"), status: Some(200), facts: AnswerFacts::default() })
}

fn detail() -> UpstreamDetail {
    UpstreamDetail::default()
}

fn status(status: u16) -> ProviderError {
    ProviderError::Status { status, retry_after: None, detail: detail() }
}

fn overloaded(retry_after: Option<u32>) -> ProviderError {
    ProviderError::Overloaded { retry_after, other_key: false, detail: detail() }
}

fn unreachable() -> ProviderError {
    ProviderError::Unreachable { why: Obstacle::Refused, cause: std::io::Error::other("x").into() }
}

fn rejected() -> ProviderError {
    ProviderError::Rejected { status: 400, message: None, detail: detail() }
}

/// A provider with these answers, one a call.
fn answers(all: impl IntoIterator<Item = Result<Answer, ProviderError>>) -> Arc<Scripted> {
    let provider = Scripted::new("p");
    all.into_iter().for_each(|answer| provider.then_complete(answer));
    provider
}

/// The data of the chunks up to an end of either kind.
async fn rest(streaming: &mut Streaming) -> (Vec<String>, Result<(), PlanFailure>) {
    let mut chunks = Vec::new();
    loop {
        match streaming.next().await {
            Ok(Step::Chunk(chunk)) => chunks.push(chunk.data),
            Ok(Step::Begun(target)) => chunks.push(format!("from {}", target.provider)),
            Ok(Step::Done) => return (chunks, Ok(())),
            Err(failure) => return (chunks, Err(failure)),
        }
    }
}

/// The error that a failure carries.
fn error_of(failure: &PlanFailure) -> (&str, &ProviderError) {
    let PlanFailure::Provider { target, error } = failure else { panic!("{failure:?}") };
    (&target.provider, error)
}
