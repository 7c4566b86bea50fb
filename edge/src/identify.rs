//! First of all a request gets a name and a place in a trace, so that even its refusal can be found.

use goblin_shared::{
    edge_signature::SigningKey,
    headers::{TRACE_GRANT, TRACEPARENT, TRACESTATE},
    request_id::RequestId,
    trace_context::{Formats, SpanId, TraceContext, TraceFlags, TraceId, TraceParent, TraceState},
    trace_grant::{self, InvalidTraceGrant},
};

use crate::{
    facts::RequestFacts,
    sampling::{Sampling, random_part},
};

/// Random bytes that one request needs; drawn at once, as each draw leaves WebAssembly.
pub type Entropy = [u8; 42];

/// Who this request is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id.
    pub request_id: RequestId,
    /// Span of the caller, if the request continues a trace.
    pub caller: Option<SpanId>,
    /// Trace, with the edge's SERVER span as its span.
    pub server: TraceContext,
    /// Trace, with the edge's first CLIENT span as its span: what the backend gets.
    pub client: TraceContext,
    /// What came of the client's `trace-grant`, if it has one.
    pub grant: Option<Grant>,
}

impl Identity {
    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.server.parent.flags.sampled
    }

    /// Whether the client may see why its request goes where it goes.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.grant == Some(Grant::Valid)
    }
}

/// What came of a `trace-grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It was made by who holds the signing key, and its time is not over.
    Valid,
    /// Its time is over.
    Expired,
    /// It is none of ours.
    Invalid,
}

impl Grant {
    /// As the span tells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }

    fn judge(field: &str, key: &SigningKey, unix_seconds: u64) -> Self {
        match trace_grant::verify(field, key, unix_seconds) {
            Ok(()) => Self::Valid,
            Err(InvalidTraceGrant::Expired) => Self::Expired,
            Err(_) => Self::Invalid,
        }
    }
}

/// What decides which traces are recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The share that is.
    pub sampling: Sampling,
    /// Who holds a grant made with this key is always recorded.
    pub grants: &'a SigningKey,
    /// The forms in which callers may name their traces.
    pub formats: &'a Formats,
}

/// Gives the request its id and continues or starts its trace. Without configuration, everything is recorded.
///
/// The caller's sampled flag is not trusted. Neither is his trace id where dice are to be thrown: a share of the traces
/// that start here is found by their ids, as any tracer that samples by ids would, a share of the others by random
/// numbers of our own.
#[must_use]
pub fn identify(
    facts: &RequestFacts,
    unix_millis: u64,
    entropy: &Entropy,
    recording: Option<Recording<'_>>,
) -> Identity {
    let incoming = match recording {
        Some(recording) => recording.formats.extract(|name| facts.header(name)),
        None => TraceContext::extract(facts.header(TRACEPARENT), facts.header(TRACESTATE)),
    };
    let (server_span, client_span) = (span_id(&entropy[16..24]), span_id(&entropy[24..32]));
    let caller = incoming.as_ref().map(|context| context.parent.span_id);
    let mut server = match incoming {
        Some(context) => {
            TraceContext { parent: TraceParent { span_id: server_span, ..context.parent }, state: context.state }
        }
        None => TraceContext {
            parent: TraceParent {
                trace_id: trace_id(&entropy[..16]),
                span_id: server_span,
                flags: TraceFlags { sampled: true, random: true },
            },
            state: TraceState::default(),
        },
    };
    let grant = facts.header(TRACE_GRANT).zip(recording);
    let grant = grant.map(|(field, recording)| Grant::judge(field, recording.grants, unix_millis / 1_000));
    let dice =
        if caller.is_some() { u64::from_be_bytes(server_span.to_bytes()) } else { random_part(server.parent.trace_id) };
    let is_of_the_share = recording.is_none_or(|recording| recording.sampling.records(dice));
    server.parent.flags.sampled = is_of_the_share || grant == Some(Grant::Valid);
    let client = server.child(client_span);
    let mut random = [0; 10];
    random.copy_from_slice(&entropy[32..]);
    Identity { request_id: RequestId::new(unix_millis, &random), caller, server, client, grant }
}

/// The span of another attempt, as [`identify`] makes that of the first.
#[must_use]
pub fn further_attempt(identity: &Identity, entropy: &Entropy) -> TraceContext {
    identity.server.child(span_id(&entropy[24..32]))
}

/// All zero is the one value that is not an id; it comes up once in 2^64 draws.
fn span_id(random: &[u8]) -> SpanId {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(random);
    SpanId::from_bytes(bytes).or_else(|| SpanId::from_bytes([1; 8])).unwrap_or_else(|| unreachable!("ones are an id"))
}

fn trace_id(random: &[u8]) -> TraceId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(random);
    TraceId::from_bytes(bytes)
        .or_else(|| TraceId::from_bytes([1; 16]))
        .unwrap_or_else(|| unreachable!("ones are an id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entropy() -> Entropy {
        std::array::from_fn(|index| u8::try_from(index + 1).unwrap())
    }

    fn facts(traceparent: Option<&str>, tracestate: Option<&str>) -> RequestFacts {
        let fields = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        RequestFacts { fields: fields.collect(), ..RequestFacts::default() }
    }

    #[test]
    fn a_new_trace_is_sampled_and_random() {
        let identity = identify(&facts(None, Some("foo=1")), 1_000, &entropy(), None);
        assert_eq!(identity.caller, None);
        assert_eq!(identity.server.parent.to_string(), "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-03");
        assert_eq!(identity.client.parent.to_string(), "00-0102030405060708090a0b0c0d0e0f10-191a1b1c1d1e1f20-03");
        assert!(identity.client.state.is_empty());
    }

    #[test]
    fn a_callers_trace_is_continued_but_its_sampling_is_not_trusted() {
        let parent = "00-12345678901234567890123456789012-1234567890123456-00";
        let identity = identify(&facts(Some(parent), Some("foo=1")), 1_000, &entropy(), None);
        assert_eq!(identity.caller.unwrap().to_string(), "1234567890123456");
        assert_eq!(identity.server.parent.to_string(), "00-12345678901234567890123456789012-1112131415161718-01");
        assert_eq!(identity.client.state.to_string(), "foo=1");
    }

    #[test]
    fn zeros_still_give_ids() {
        let identity = identify(&facts(None, None), 1_000, &[0; 42], None);
        assert_eq!(identity.server.parent.span_id.to_string(), "0101010101010101");
    }
    fn key() -> SigningKey {
        format!("a:{}", "0".repeat(32)).parse().unwrap()
    }

    fn recorded(sampling: Sampling, caller: bool, grant: Option<&str>) -> (bool, Option<Grant>) {
        let parent = "00-ffffffffffffffffffffffffffffffff-1234567890123456-01";
        let mut facts = facts(caller.then_some(parent), None);
        facts.fields.extend(grant.map(|grant| (TRACE_GRANT.to_owned(), grant.to_owned())));
        let key = key();
        let identity = identify(
            &facts,
            1_000_000,
            &entropy(),
            Some(Recording { sampling, grants: &key, formats: &Formats::default() }),
        );
        assert_eq!(identity.client.parent.flags, identity.server.parent.flags);
        (identity.is_sampled(), identity.grant)
    }

    #[test]
    fn a_caller_has_no_say_in_what_is_recorded() {
        for caller in [false, true] {
            assert!(recorded(Sampling::ALL, caller, None).0);
            assert!(!recorded(Sampling::NONE, caller, None).0);
        }
        // The callers id would be taken at any ratio, and ours, 0a0b…, is not.
        let get = |name: &str| Some(if name == "OTEL_TRACES_SAMPLER" { "traceidratio" } else { "0.5" }.to_owned());
        let half = Sampling::read(&crate::config::Variables::new(&get), &mut Vec::new());
        assert!(!recorded(half, false, None).0 && !recorded(half, true, None).0);
    }

    #[test]
    fn a_grant_forces_recording_and_nothing_else_does() {
        let grant = trace_grant::mint(&key(), 1_001);
        assert_eq!(recorded(Sampling::NONE, true, Some(&grant)), (true, Some(Grant::Valid)));
        let old = trace_grant::mint(&key(), 999);
        assert_eq!(recorded(Sampling::NONE, true, Some(&old)), (false, Some(Grant::Expired)));
        assert_eq!(recorded(Sampling::NONE, true, Some("v1;exp=1001;h=00")), (false, Some(Grant::Invalid)));
        assert_eq!(recorded(Sampling::ALL, true, Some("")), (true, Some(Grant::Invalid)));
    }

    #[test]
    fn each_attempt_has_a_span_of_its_own_under_the_same_parent() {
        let identity = identify(&facts(None, None), 1_000, &entropy(), None);
        let second = further_attempt(&identity, &[7; 42]);
        assert_eq!(second.parent.trace_id, identity.client.parent.trace_id);
        assert_ne!(second.parent.span_id, identity.client.parent.span_id);
    }
}
