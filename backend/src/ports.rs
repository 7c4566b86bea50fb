//! What the domain needs from the outside world. Adapters stand in `provider` and `ambient`; only `app` names them.

use std::{borrow::Cow, collections::BTreeMap, error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use goblin_shared::{request_id::RequestId, trace_context::TraceParent};

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
}

/// Something that answers chat requests in OpenAI's wire shape.
#[async_trait]
pub(crate) trait Provider: Send + Sync {
    /// Where it is, if it is another server.
    fn remote(&self) -> Option<&Remote>;

    /// Whether it is configured to answer for this model of the catalogue.
    fn offers(&self, model: &str) -> bool;

    /// Answers in one piece. Dropping the future ends the call.
    async fn complete(&self, call: Call) -> Result<Answer, ProviderError>;

    /// Answers piece by piece. Nothing is sent before the stream is polled; dropping it ends the call.
    fn stream(&self, call: Call) -> AnswerStream;
}

/// The providers that are configured, by their key in the catalogue.
pub(crate) type Providers = BTreeMap<String, Arc<dyn Provider>>;

/// The server of a provider; for spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

/// One call of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The client's body, as it came.
    pub(crate) body: Bytes,
    /// The model's name in the catalogue.
    pub(crate) model: String,
    /// Id of the request that this call is for.
    pub(crate) request_id: RequestId,
    /// The span of the call, for the provider to continue.
    pub(crate) traceparent: Option<TraceParent>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// A JSON object in OpenAI's shape, as the provider sent it.
    pub(crate) body: Bytes,
    /// The HTTP status, if HTTP was spoken.
    pub(crate) status: Option<u16>,
}

/// An answer in pieces.
pub(crate) type AnswerStream = BoxStream<'static, Result<StreamEvent, ProviderError>>;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    /// The provider has begun to answer with this HTTP status, if HTTP was spoken.
    Opened(Option<u16>),
    /// The data of one event, as the provider sent it.
    Chunk(String),
    /// The provider says that the answer is complete.
    Done,
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
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// Nobody's: it takes no more for now.
    #[error("the provider takes no more requests for {retry_after} s (status 429)")]
    Overloaded {
        /// Seconds to wait.
        retry_after: u32,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// The provider's: any other status than success.
    #[error("the provider answered with status {status}")]
    Status {
        /// Status of its answer.
        status: u16,
        /// What it says.
        #[source]
        detail: UpstreamDetail,
    },
    /// The provider's, or the network's: no connection.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] Cause),
    /// The provider's, or the network's: the connection broke in mid-answer.
    #[error("the connection to the provider broke")]
    Broken(#[source] Cause),
    /// The provider's: the stream ended, but did not say that the answer is complete.
    #[error("the provider's stream ended before the answer was complete")]
    Cut,
    /// The provider's: an error in the midst of a stream.
    #[error("the provider reported an error within its stream")]
    Reported(#[source] UpstreamDetail),
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

    /// The attribute `error.type`: the status, or a word.
    pub(crate) fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected { .. } | Self::Unauthorized { .. } | Self::Overloaded { .. } | Self::Status { .. } => {
                self.status().map_or(Cow::Borrowed("_OTHER"), |status| status.to_string().into())
            }
            Self::Unreachable(_) => "unreachable".into(),
            Self::Broken(_) => "connection_broken".into(),
            Self::Cut => "stream_cut".into(),
            Self::Reported(_) => "reported_in_stream".into(),
            Self::Garbage(_) => "invalid_answer".into(),
            Self::TimedOut { .. } => "timeout".into(),
        }
    }
}
