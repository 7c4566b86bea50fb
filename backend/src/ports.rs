//! What the domain needs from the outside world. Adapters stand in `provider`, `store` and `ambient`; only `app` names them.

mod business;
mod conversations;
pub(crate) mod day;
mod incidents;
mod keys;
mod ledger;
mod limits;
mod principal;
mod slo_counts;
mod store;
pub(crate) mod usd;

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use goblin_shared::{api::Api, request_id::RequestId, trace_context::TraceParent};

pub(crate) use self::{
    business::{ActiveUsers, Business, ConversationFigures, Figures, GroupKey},
    conversations::{Conversation, Conversations, NewTurn, PageCursor, Turn},
    incidents::{Incident, IncidentState, Incidents},
    keys::{KeyRecord, Keys, SecretHash},
    ledger::{
        Ledger, LedgerEntry, LedgerOutcome, NotOpened, OpeningId, Settlement, TokenCounts, UsageBy, UsageQuery,
        UsageRow, Written,
    },
    limits::{Amounts, Level, LimitSet, LimitState, Limits, NotReserved, Quota, Reservation, Subject},
    principal::{Owner, Principal, Scope, Scopes, UnknownScope},
    slo_counts::{Run, SloCount, SloCounts},
    store::{Health, StoreError},
};

/// Tells the time.
pub(crate) trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn unix_millis(&self) -> u64;

    /// Seconds since 1970.
    fn unix_seconds(&self) -> u64 {
        self.unix_millis() / 1_000
    }
}

/// Gives out ids.
pub(crate) trait Ids: Send + Sync {
    /// A new id of a request.
    fn request_id(&self) -> RequestId;

    /// A new id of a try to begin a request.
    fn opening_id(&self) -> OpeningId;

    /// A new id of a conversation, in the form of [`goblin_shared::conversation::is_id`].
    fn conversation_id(&self) -> String;
}

/// Gives out random numbers.
pub(crate) trait Random: Send + Sync {
    /// A number from 0 to 1, without 1, each as likely as any other.
    fn fraction(&self) -> f64;
}

/// Gives out secrets that nobody can foresee.
pub(crate) trait Entropy: Send + Sync {
    /// Fresh random bytes of cryptographic quality, as many as an API key needs.
    fn key_entropy(&self) -> goblin_shared::api_key::Entropy;
}

/// Something that answers requests, whatever it speaks itself: what it takes and gives is in the client's own shape.
#[async_trait]
pub(crate) trait Provider: Send + Sync {
    /// Where it is, if it is another server.
    fn remote(&self) -> Option<&Remote>;

    /// Whether it is configured to answer for this model of the catalogue.
    fn offers(&self, model: &str) -> bool;

    /// Makes of a client's request what this provider takes for `model`, a name of the catalogue. Sends nothing.
    fn prepare(&self, request: &ClientRequest, model: &str) -> Result<Prepared, Inexpressible>;

    /// Answers in one piece. Dropping the future ends the call.
    async fn complete(&self, call: Call) -> Result<Answer, ProviderError>;

    /// Answers piece by piece. Nothing is sent before the stream is polled; dropping it ends the call.
    ///
    /// The stream ends with [`StreamEvent::Done`] or an error; one that just ends was cut.
    fn stream(&self, call: Call) -> AnswerStream;
}

/// The server of a provider; for spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

/// A client's request, checked but not changed.
#[derive(Clone, Debug)]
pub(crate) struct ClientRequest {
    /// Which API it speaks, and therefore the shape of body and answer.
    pub(crate) api: Api,
    /// The body, as it came.
    pub(crate) body: Bytes,
    /// The answer is to be streamed.
    pub(crate) stream: bool,
    /// The client wants the usage of a stream; always so where its API has no choice.
    pub(crate) include_usage: bool,
    /// The field `anthropic-version`, a date: which edition of that API the body is written for.
    pub(crate) anthropic_version: Option<String>,
    /// The field `anthropic-beta`, names with commas between: a part of that API's requests.
    pub(crate) anthropic_beta: Option<String>,
    /// Its id.
    pub(crate) request_id: RequestId,
}

/// A request in the shape of one provider. Copies share the body.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Which API the client speaks: what the answer is translated to.
    pub(crate) api: Api,
    /// The body for the provider.
    pub(crate) body: Bytes,
    /// The provider's own name of the model.
    pub(crate) upstream_model: String,
    /// The client wants the usage of a stream.
    pub(crate) include_usage: bool,
    /// Fields of the client's API that go along, such as `anthropic-beta`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What the provider needs to know of the request to write the answer, such as the form of embeddings.
    pub(crate) answer_options: AnswerOptions,
    /// Id of the request that it is for.
    pub(crate) request_id: RequestId,
}

/// What of a request decides on how its answer is written, where it is translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerOptions {
    /// Embeddings as base64 of little-endian 32-bit floats, instead of numbers.
    pub(crate) base64: bool,
    /// How many embeddings there must be, where the request was translated.
    pub(crate) inputs: usize,
}

/// One call of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// What is asked.
    pub(crate) prepared: Prepared,
    /// The span of the call, for the provider to continue.
    pub(crate) traceparent: Option<TraceParent>,
    /// What the caller hands along with the trace, for providers that are to have it.
    pub(crate) onward: Option<Arc<Onward>>,
}

/// What callers hand along with a trace. It may say anything, so that only servers of one's own are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Onward {
    /// The field `tracestate`; empty where there is none.
    pub(crate) tracestate: String,
    /// The field `baggage`; likewise.
    pub(crate) baggage: String,
}

/// The provider's wire format has no words for a part of the request, or the translation does not know that part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's format has no words for `{param}`: {message}")]
pub(crate) struct Inexpressible {
    /// The field at fault by its path, such as `messages[2].content[0].file`.
    pub(crate) param: String,
    /// What to do about it, in a sentence for the client. It repeats no value of the request.
    pub(crate) message: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// A JSON object in the client's shape; as the provider sent it, where that is its own.
    pub(crate) body: Bytes,
    /// The HTTP status, if HTTP was spoken.
    pub(crate) status: Option<u16>,
    /// What it says.
    pub(crate) facts: AnswerFacts,
}

/// An answer in pieces.
pub(crate) type AnswerStream = BoxStream<'static, Result<StreamEvent, ProviderError>>;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    /// The provider has begun to answer with this HTTP status, if HTTP was spoken.
    Opened(Option<u16>),
    /// Something is known of the answer that was not before.
    Learnt(Learnt),
    /// An event for the client.
    Chunk(Chunk),
    /// The provider says that the answer is complete.
    Done,
}

/// One event for the client, in its own shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its name, where the client's API names events.
    pub(crate) event: Option<Cow<'static, str>>,
    /// Its data.
    pub(crate) data: String,
    /// It holds a text, tool-call, reasoning or refusal delta: what a reader waits for.
    pub(crate) content: bool,
}

/// Tokens, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "as OpenAI names them")]
pub(crate) struct Usage {
    /// Of the whole prompt, with what was cached.
    pub(crate) prompt_tokens: u64,
    /// Of the answer, with its reasoning.
    pub(crate) completion_tokens: u64,
    /// Those of the prompt that came from the provider's cache, where it says so.
    pub(crate) cached_tokens: Option<u64>,
    /// Those of the prompt that were written to the provider's cache, where it says so.
    pub(crate) cache_write_tokens: Option<u64>,
    /// Those of the answer that were reasoning, where it says so.
    pub(crate) reasoning_tokens: Option<u64>,
}

/// News of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// The provider's id of the answer.
    pub(crate) id: Option<String>,
    /// What the provider calls the model that answered.
    pub(crate) model: Option<String>,
    /// Why a choice ended, in the provider's own words.
    pub(crate) finish_reason: Option<String>,
    /// Tokens so far; a later one replaces it.
    pub(crate) usage: Option<Usage>,
    /// How the provider processed the request, in its own word, where that may decide on the price.
    pub(crate) service_tier: Option<String>,
}

/// What is known of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerFacts {
    /// The provider's id of the answer.
    pub(crate) id: Option<String>,
    /// What the provider calls the model that answered.
    pub(crate) model: Option<String>,
    /// Why each choice ended, as far as they have.
    pub(crate) finish_reasons: Vec<String>,
    /// What it cost in tokens.
    pub(crate) usage: Option<Usage>,
    /// How the provider processed the request, in its own word, where that may decide on the price.
    pub(crate) service_tier: Option<String>,
}

impl AnswerFacts {
    /// Takes news in.
    pub(crate) fn learn(&mut self, news: Learnt) {
        let Learnt { id, model, finish_reason, usage, service_tier } = news;
        self.id = self.id.take().or(id);
        self.model = self.model.take().or(model);
        self.finish_reasons.extend(finish_reason);
        self.usage = usage.or(self.usage);
        self.service_tier = self.service_tier.take().or(service_tier);
    }
}

/// What an upstream says about its own error, bounded. Its message is left out: it may repeat the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UpstreamDetail {
    /// Member `type`.
    pub(crate) kind: Option<String>,
    /// Member `code`.
    pub(crate) code: Option<String>,
    /// Member `param`.
    pub(crate) param: Option<String>,
}

impl fmt::Display for UpstreamDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("upstream error")?;
        for (name, member) in [("type", &self.kind), ("code", &self.code), ("param", &self.param)] {
            if let Some(member) = member {
                write!(f, ", {name} {member}")?;
            }
        }
        Ok(())
    }
}

impl Error for UpstreamDetail {}

/// A cause for the log.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// What kept a connection from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Its name could not be resolved.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No TLS connection could be agreed on, or its certificate is not trusted.
    Tls,
    /// There was none within `timeouts.connect`, TLS included.
    TimedOut,
    /// Anything else.
    Network,
}

impl Obstacle {
    /// The value of the attribute `error.type`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns_failed",
            Self::Refused => "connection_refused",
            Self::Tls => "tls_failed",
            Self::TimedOut => "connect_timed_out",
            Self::Network => "unreachable",
        }
    }
}

/// Why a call failed, sorted by whose fault it is. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// The client's: the provider finds the request invalid.
    #[error("the provider calls the request invalid (status {status})")]
    Rejected {
        /// Status of its answer.
        status: u16,
        /// What it says to the client, bounded.
        message: Option<String>,
        /// What it says besides.
        #[source]
        detail: UpstreamDetail,
    },
    /// Ours: it does not take our key.
    #[error("the provider refuses our credentials (status {status}); check its api_key")]
    Unauthorized {
        /// Status of its answer.
        status: u16,
        /// There is another key that it has not refused.
        other_key: bool,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// Nobody's: it takes no more for now.
    #[error("the provider takes no more requests for now (status 429)")]
    Overloaded {
        /// Seconds to wait, where it says so.
        retry_after: Option<u32>,
        /// There is another key that may still be taken.
        other_key: bool,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// The provider's: any other status than success.
    #[error("the provider answered with status {status}")]
    Status {
        /// Status of its answer.
        status: u16,
        /// Seconds to wait, where it says so.
        retry_after: Option<u32>,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// The provider's, or the network's: no connection.
    #[error("the provider cannot be reached ({})", .why.as_str())]
    Unreachable {
        /// What stood in the way.
        why: Obstacle,
        /// As the client library tells it.
        #[source]
        cause: Cause,
    },
    /// The provider's, or the network's: the connection broke in mid-answer.
    #[error("the connection to the provider broke")]
    Broken(#[source] Cause),
    /// The provider's: the stream ended, but did not say that the answer is complete.
    #[error("the provider's stream ended before the answer was complete")]
    Cut,
    /// The provider's: an error in place of an answer, or in the midst of a stream.
    #[error("the provider reported an error in place of an answer")]
    Reported {
        /// It takes no more for now, which is no fault of this request.
        overloaded: bool,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// The provider's: what it sent is not of its wire format.
    #[error("the provider's answer cannot be understood: {0}")]
    Garbage(&'static str),
    /// The provider's: it took too long.
    #[error("the provider took longer than {limit:?} for {what}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

impl ProviderError {
    /// The HTTP status that the provider answered with.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected { status, .. } | Self::Unauthorized { status, .. } | Self::Status { status, .. } => {
                Some(*status)
            }
            Self::Overloaded { .. } => Some(429),
            _ => None,
        }
    }

    /// Seconds after which it takes requests again, where it says so and no other of our keys is taken before.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Overloaded { retry_after, other_key: false, .. }
            | Self::Status { retry_after, status: 500.., .. } => *retry_after,
            _ => None,
        }
    }

    /// The attribute `error.type`: the status, or a word.
    pub(crate) fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected { .. } | Self::Unauthorized { .. } | Self::Overloaded { .. } | Self::Status { .. } => {
                self.status().map_or(Cow::Borrowed("_OTHER"), |status| status.to_string().into())
            }
            Self::Unreachable { why, .. } => why.as_str().into(),
            Self::Broken(_) => "connection_broken".into(),
            Self::Cut => "stream_cut".into(),
            Self::Reported { .. } => "reported_in_stream".into(),
            Self::Garbage(_) => "invalid_answer".into(),
            Self::TimedOut { .. } => "timeout".into(),
        }
    }
}
